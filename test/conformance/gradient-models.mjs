/**
 * Gradients of whole models: for every model of a folder, the derivative of a random projection of
 * its outputs along random directions of its weights, from the gradients that pare writes, against
 * central differences of the model itself.
 *
 *   npm run build
 *   node test/conformance/gradient-models.mjs FOLDER [--only NAME,...] [--max-params 30e6]
 *     [--tensors 8] [--no-scatter]
 *
 * One direction moves all weights at once, the others one tensor each. Differences are taken in
 * float with several widths, since rounding spoils small ones and kinks of activations large ones
 * (deep networks with random weights change their slope within a millionth of their weights);
 * the closest counts. Prints the error relative to the difference, and the number of nodes before
 * and after. Exit code 1 when an error is above 2 %.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { eachModel } from './each-model.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    'max-params': { type: 'string', default: '30e6' },
    tensors: { type: 'string', default: '8' },
    'no-scatter': { type: 'boolean', default: false },
    dist: { type: 'string', default: join(import.meta.dirname, '../../dist') },
  },
});
const folder = positionals[0];
if (!folder) {
  console.error('usage: node test/conformance/gradient-models.mjs FOLDER [--only NAME,...]');
  process.exit(2);
}
const load = (path) => import(pathToFileURL(join(options.dist, path)).href);
const modules =
  'index.js node.js random.js graph/emitter.js train/differentiate.js onnx/data-type.js';
const pare = Object.assign({}, ...(await Promise.all(modules.split(' ').map(load))));
const limit = 0.02;

/** Float weights of the main graph become inputs; returns them by name. */
async function weightsToInputs(model) {
  const weights = new Map();
  for (const value of model.graph.initializers) {
    const tensor = value.initializer;
    if (tensor?.dataType !== 'float' || tensor.size < 8 || value.isUnused) continue;
    weights.set(value.name, pare.hostTensor('float', tensor.dims, await tensor.floats()));
    value.initializer = undefined;
    value.type = pare.tensorType('float', tensor.dims);
    model.graph.inputs.push(value);
  }
  return weights;
}

function moved(tensor, direction, by) {
  return { ...tensor, data: tensor.data.map((value, at) => value + by * direction[at]) };
}

async function checkModel(engine, model) {
  await (await load('simplify/constants-to-initializers.js')).constantsToInitializers.run(
    model,
    {},
    {},
  );
  const weights = await weightsToInputs(model);
  const params = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
  if (params > Number(options['max-params'])) return { skip: `${(params / 1e6).toFixed(1)} M` };
  const random = pare.createRandom(7);
  const forward = await engine.createSession(await pare.modelSource(model));
  const inputs = forward.inputs.filter(({ name }) => !weights.has(name));
  const feeds = { ...pare.randomFeeds(inputs, { seed: 3 }), ...Object.fromEntries(weights) };
  const outputs = await forward.run(feeds);
  const names = Object.keys(outputs).filter((name) => outputs[name].dataType === 'float');
  const projections = new Map(
    names.map((name) => [
      name,
      outputs[name].data.map(() => random.normal() / Math.sqrt(outputs[name].data.length)),
    ]),
  );
  const lossOf = async (changed) => {
    const results = await forward.run({ ...feeds, ...changed }, names);
    let loss = 0;
    for (const [name, factors] of projections) {
      const { data } = results[name];
      for (let i = 0; i < data.length; i++) loss += data[i] * factors[i];
    }
    return loss;
  };

  const projected = pare.cloneModel(model);
  const e = new pare.Emitter(projected.graph, { scope: 'projected' });
  const parts = names.map((name) => {
    const factors = projections.get(name);
    const weight = projected.graph.addInitializer(
      'projected/weight',
      pare.Tensor.of('float', [factors.length], factors),
    );
    const flat = e.reshape(projected.graph.value(name), [-1]);
    return e.op('ReduceSum', [e.mul(flat, weight)], { keepdims: 0 });
  });
  const loss = e.sum(parts);
  projected.graph.outputs.splice(0, Number.POSITIVE_INFINITY, loss);
  const before = model.graph.nodes.size;
  const start = performance.now();
  const { gradients, unreached } = await pare.differentiate(
    projected,
    {
      loss: loss.name,
      wanted: [...weights.keys()],
      asOutputs: true,
      scatter: !options['no-scatter'],
    },
    { engine },
  );
  const buildMs = performance.now() - start;
  const session = await engine.createSession(await pare.modelSource(projected));
  const results = await session.run(feeds);
  await session.release();

  const slopeAlong = async (directions) => {
    let analytic = 0;
    for (const [name, direction] of directions) {
      const gradient = gradients.get(name);
      if (!gradient) continue;
      const { data } = results[gradient.name];
      for (let i = 0; i < data.length; i++) analytic += data[i] * direction[i];
    }
    let best = Number.POSITIVE_INFINITY;
    for (const width of [2e-3, 2e-4, 2e-5, 4e-6, 1e-6, 1e-2, 5e-2]) {
      const at = async (by) =>
        lossOf(
          Object.fromEntries(
            directions.map(([name, direction]) => [name, moved(weights.get(name), direction, by)]),
          ),
        );
      const central = async (by) => ((await at(by)) - (await at(-by))) / (2 * by);
      const slope = (4 * (await central(width / 2)) - (await central(width))) / 3;
      const error = Math.abs(slope - analytic) / Math.max(Math.abs(slope), 1e-6);
      best = Math.min(best, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
      if (best < limit / 10) break;
    }
    return { error: best, analytic };
  };
  /** As large as the weights are, and pointing where the loss changes, so that differences show. */
  const directionOf = (name) => {
    const { data } = weights.get(name);
    const size = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length) || 1;
    const gradient = gradients.has(name) ? results[gradients.get(name).name].data : undefined;
    const scale = gradient
      ? Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0) / data.length) || 1
      : 1;
    return [
      name,
      data.map((_, at) => size * (random.normal() + (gradient ? gradient[at] / scale : 0))),
    ];
  };
  const all = await slopeAlong([...weights.keys()].map(directionOf));
  const count = Math.min(Number(options.tensors), weights.size);
  let worst = 0;
  let name;
  const reached = [...weights.keys()].filter((each) => gradients.has(each));
  for (let i = 0; i < count; i++) {
    const each = reached[random.int(reached.length)];
    const { error } = await slopeAlong([directionOf(each)]);
    if (error >= worst) [worst, name] = [error, each];
  }
  await forward.release();
  return {
    params,
    before,
    after: projected.graph.nodes.size,
    all: all.error,
    worst,
    name,
    unreached: unreached.length,
    buildMs,
  };
}

const engine = await pare.createNodeEngine({ threads: 2 });
const show = (...cells) =>
  console.log(
    cells.map((cell, at) => String(cell)[at ? 'padStart' : 'padEnd'](at ? 11 : 26)).join(''),
  );
show('model', 'params', 'nodes', 'with grad', 'build ms', 'all', 'one tensor', 'unreached');
let failed = false;
const crashed = await eachModel(pare.openModel, folder, options.only, {
  async visit(model, name) {
    const row = await checkModel(engine, model);
    if (row.skip) return show(name, 'too large', row.skip);
    if (!(Math.max(row.all, row.worst) <= limit)) failed = true;
    show(
      name,
      row.params,
      row.before,
      row.after,
      row.buildMs.toFixed(0),
      row.all.toExponential(1),
      row.worst.toExponential(1),
      row.unreached,
      row.worst > limit ? row.name : '',
    );
  },
  onError: (error, name) => console.log(`FAILED ${name}: ${String(error.message).slice(0, 700)}`),
});
await engine.close();
process.exitCode = failed || crashed ? 1 : 0;
