/**
 * Gradients of whole models: for every model of a folder, the derivative of a random projection of
 * its outputs along random directions of its weights, from the gradients that pare writes, against
 * central differences of the model itself.
 *
 *   npm run build
 *   node test/conformance/gradient-models.mjs FOLDER [--only NAME,...] [--max-params 30e6]
 *     [--directions 8] [--no-scatter] [--verbose]
 *
 * One direction moves all weights at once, each of the others a share of them, all weights in
 * turn. The differences are taken of a copy of the model in double (gradient-double.mjs): deep
 * networks change their slope within a millionth of their weights, and float cannot tell steps as
 * small as that. Two computations of the gradients are compared with them: by the runtime's kernels
 * for float, up to 1e-3, and the same nodes in double, up to 1e-6. Errors are relative to the
 * difference; which width of the step counts is decided by the differences alone.
 *
 * "half an ulp" is how far the gradients in double go when every weight changes by half a unit in
 * the last place of float: no computation in float can be expected to come closer. Networks with
 * random weights and without normalization are as ill-conditioned as that. "differences" is by how
 * much those with the two best widths differ. Exit code 1 when an error is above its limit, for
 * float also above ten times the error of half an ulp.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { eachModel } from './each-model.mjs';
import { toDouble } from './gradient-double.mjs';
import { inDouble } from './gradient-values.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    'max-params': { type: 'string', default: '30e6' },
    directions: { type: 'string', default: '8' },
    'no-scatter': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    dist: { type: 'string', default: join(import.meta.dirname, '../../dist') },
  },
});
const folder = positionals[0];
if (!folder) {
  console.error('usage: node test/conformance/gradient-models.mjs FOLDER [--only NAME,...]');
  process.exit(2);
}
const load = (path) => import(pathToFileURL(join(options.dist, path)).href);
const modules = [
  'index.js',
  'node.js',
  'random.js',
  'engine/shapes.js',
  'graph/emitter.js',
  'onnx/data-type.js',
  'onnx/tensor.js',
  'simplify/constants-to-initializers.js',
  'train/differentiate.js',
];
const pare = Object.assign({}, ...(await Promise.all(modules.map(load))));
const limits = { float: 1e-3, double: 1e-6 };

/**
 * Float weights of the main graph become inputs; returns them by name. Biases that are all zero, as
 * fresh exports have them, get small random numbers: what is dead before them would lie right on
 * the kink of an activation, where slopes to the left and right differ and no difference is right.
 */
async function weightsToInputs(model) {
  const weights = new Map();
  const random = pare.createRandom(5);
  const constants = constantsIn(model);
  for (const value of model.graph.initializers) {
    const tensor = value.initializer;
    if (tensor?.dataType !== 'float' || tensor.size < 8 || value.isUnused) continue;
    if (isCompared(value, constants)) continue;
    const numbers = await tensor.floats();
    const isZero = numbers.every((number) => number === 0);
    const data = isZero ? numbers.map(() => 0.05 * random.normal()) : numbers;
    weights.set(value.name, pare.hostTensor('float', tensor.dims, data));
    value.initializer = undefined;
    value.type = pare.tensorType('float', tensor.dims);
    model.graph.inputs.push(value);
  }
  return weights;
}

/** Values that follow from initializers alone. */
function constantsIn({ graph }) {
  const found = new Set(graph.initializers);
  for (const node of graph.nodes) {
    const follows = node.inputs.every((input) => !input || found.has(input));
    if (follows) for (const output of node.outputs) if (output) found.add(output);
  }
  return found;
}

/**
 * Whether a constant is compared with others before it meets any input: numbers of regions, of
 * which a mask is made. The model jumps where it moves.
 */
function isCompared(value, constants) {
  return [...value.users].some(({ outputs }) =>
    outputs.some(
      (output) =>
        output &&
        constants.has(output) &&
        (output.dataType === 'bool' || isCompared(output, constants)),
    ),
  );
}

const open = async (engine, model) =>
  engine.createSession(await pare.modelSource(model), { optimization: 'disabled' });

/** A copy of the model with the gradients of the projected outputs as its outputs. */
async function withGradients(engine, model, projections, wanted) {
  const copy = pare.cloneModel(model);
  const e = new pare.Emitter(copy.graph, { scope: 'projected' });
  const parts = [...projections].map(([name, factors]) => {
    const tensor = pare.Tensor.of('float', [factors.length], factors);
    const weight = copy.graph.addInitializer(copy.graph.freshName('projected/weight'), tensor);
    const flat = e.reshape(copy.graph.value(name), [-1]);
    return e.op('ReduceSum', [e.mul(flat, weight)], { keepdims: 0 });
  });
  const loss = e.sum(parts);
  copy.graph.outputs.splice(0, Number.POSITIVE_INFINITY, loss);
  const scatter = !options['no-scatter'];
  const found = await pare.differentiate(
    copy,
    { loss: loss.name, wanted, asOutputs: true, scatter },
    { engine },
  );
  // The loss alone would keep nothing that the gradients do not need.
  copy.graph.outputs.splice(copy.graph.outputs.indexOf(loss), 1);
  return { copy, ...found };
}

/** Runs the model that gives them: the gradients by the name of the weight, one map per feeds. */
async function gradientsOf(engine, model, gradients, ...feeds) {
  const session = await open(engine, model);
  const found = [];
  for (const each of feeds) {
    const results = await session.run(each);
    found.push(new Map([...gradients].map(([name, output]) => [name, results[output.name].data])));
  }
  await session.release();
  return found;
}

/** Every weight up or down by half a unit in the last place of float, at random. */
function nudged(random, weights, wide) {
  const moved = [...weights.keys()].map((name) => {
    const { dims, data } = wide[name];
    const to = data.map((value) => value * (1 + (random.int(2) - 0.5) * 2 ** -23));
    return [name, pare.hostTensor('double', dims, to)];
  });
  return { ...wide, ...Object.fromEntries(moved) };
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

const norm = (data) => Math.sqrt(dot(data, data) / data.length);

/**
 * Where weights move: by about their size, at random, and three times as much of the slope along
 * the gradient, so that the sum does not vanish by chance and an error in any part of a gradient
 * is as large in the slope as in the gradient. Each tensor adds about as much (those that hardly
 * matter move up to 30 times as far).
 */
function directionsOf(random, weights, gradients, names) {
  const directions = names.map((name) => {
    const { data } = weights.get(name);
    const gradient = gradients.get(name);
    const size = norm(data) || 1;
    const scale = norm(gradient) * Math.sqrt(gradient.length) || 1;
    const direction = Float64Array.from(gradient, (slope) => random.normal() + 3 * (slope / scale));
    const share = size * Math.abs(dot(direction, gradient));
    return { name, direction, size, share };
  });
  const most = Math.max(...directions.map(({ share }) => share));
  for (const { direction, size, share } of directions) {
    const factor = size * Math.min(30, most / share || 1);
    for (let i = 0; i < direction.length; i++) direction[i] *= factor;
  }
  return directions;
}

/**
 * The derivative along the directions. Widths go down until two agree to 1e-7 of the slope; where
 * none do, wider ones follow, extrapolated: weights behind a layer scale of 1e-6 move the outputs so
 * little that rounding hides narrow steps. Of those that agree best the smaller counts.
 */
async function slopeAlong(lossOf, feeds, directions) {
  const at = (by) => {
    const moved = directions.map(({ name, direction }) => {
      const { dims, data } = feeds[name];
      return [
        name,
        pare.hostTensor(
          'double',
          dims,
          data.map((value, i) => value + by * direction[i]),
        ),
      ];
    });
    return lossOf({ ...feeds, ...Object.fromEntries(moved) });
  };
  const central = async (by) => ((await at(by)) - (await at(-by))) / (2 * by);
  // Without the error of second order (Richardson 1911), for steps too wide for plain differences.
  const extrapolated = async (by) => (4 * (await central(by / 2)) - (await central(by))) / 3;
  const tries = [
    { difference: central, widths: [1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11] },
    { difference: extrapolated, widths: [1e-2, 5e-3, 2e-3, 1e-3, 5e-4] },
  ];
  let [slope, doubt] = [Number.NaN, Number.POSITIVE_INFINITY];
  for (const { difference, widths } of tries) {
    let wider;
    for (const width of widths) {
      const found = await difference(width);
      const apart = Math.abs(found - wider) / Math.abs(found);
      if (apart < doubt) [slope, doubt] = [found, apart];
      if (doubt < 1e-7) return { slope, doubt };
      wider = found;
    }
  }
  return { slope, doubt };
}

async function checkModel(engine, model, title) {
  await pare.constantsToInitializers.run(model, {}, {});
  await pare.inferShapes(engine, model);
  const weights = await weightsToInputs(model);
  const params = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
  if (params > Number(options['max-params'])) return { skip: `${(params / 1e6).toFixed(1)} M` };
  const random = pare.createRandom(7);
  const forward = await open(engine, model);
  const inputs = forward.inputs.filter(({ name }) => !weights.has(name));
  const feeds = { ...pare.randomFeeds(inputs, { seed: 3 }), ...Object.fromEntries(weights) };
  const outputs = await forward.run(feeds);
  await forward.release();
  const projections = new Map(
    Object.entries(outputs)
      .filter(([, { dataType }]) => dataType === 'float')
      .map(([name, { data }]) => [name, data.map(() => random.normal() / Math.sqrt(data.length))]),
  );
  const { copy, gradients, unreached } = await withGradients(engine, model, projections, [
    ...weights.keys(),
  ]);
  const nodes = [model.graph.nodes.size, copy.graph.nodes.size];
  const [float] = await gradientsOf(engine, copy, gradients, feeds);
  await toDouble(pare, copy, { engine, feeds });
  const wide = inDouble(pare, feeds);
  const both = [wide, nudged(pare.createRandom(9), weights, wide)];
  const [double, near] = await gradientsOf(engine, copy, gradients, ...both);

  await toDouble(pare, model, { engine, feeds });
  const session = await open(engine, model);
  const lossOf = async (moved) => {
    const results = await session.run(moved, [...projections.keys()]);
    let loss = 0;
    for (const [name, factors] of projections) loss += dot(results[name].data, factors);
    return loss;
  };
  const reached = [...weights.keys()].filter((name) => gradients.has(name));
  const count = Math.min(Number(options.directions), reached.length);
  const shares = Array.from({ length: count }, (_, at) =>
    reached.filter((_, index) => index % count === at),
  );
  const worst = { float: 0, double: 0, near: 0, doubt: 0 };
  for (const names of [reached, ...shares]) {
    const directions = directionsOf(random, weights, double, names);
    const { slope, doubt } = await slopeAlong(lossOf, wide, directions);
    const row = { weights: names.length, slope, doubt };
    for (const [type, found] of Object.entries({ float, double, near })) {
      const sum = directions.reduce(
        (total, { name, direction }) => total + dot(found.get(name), direction),
        0,
      );
      row[type] = Math.abs(sum - slope) / Math.abs(slope);
    }
    for (const key of Object.keys(worst)) worst[key] = Math.max(worst[key], row[key]);
    if (options.verbose) console.log(title, JSON.stringify(row));
  }
  await session.release();
  return { params, nodes, weights: reached.length, unreached: unreached.length, ...worst };
}

const engine = await pare.createNodeEngine({ threads: 1 });
const show = (...cells) =>
  console.log(
    cells.map((cell, at) => String(cell)[at ? 'padStart' : 'padEnd'](at ? 11 : 26)).join(''),
  );
show(
  'model',
  'params',
  'tensors',
  'nodes',
  'with grad',
  'float',
  'double',
  'half an ulp',
  'differences',
  's',
);
let failed = false;
const crashed = await eachModel(pare.openModel, folder, options.only, {
  async visit(model, name) {
    const start = process.cpuUsage();
    const row = await checkModel(engine, model, name);
    if (row.skip) return show(name, 'too large', row.skip);
    const reach = Math.max(limits.float, 10 * row.near);
    const isGood = row.float <= reach && row.double <= limits.double;
    if (!isGood) failed = true;
    const { user, system } = process.cpuUsage(start);
    show(
      name,
      row.params,
      row.weights,
      ...row.nodes,
      ...[row.float, row.double, row.near, row.doubt].map((error) => error.toExponential(1)),
      ((user + system) / 1e6).toFixed(0),
      row.unreached > 0 ? `  ${row.unreached} unreached` : '',
      isGood ? '' : '  above the limit',
    );
  },
  onError: (error, name) => console.log(`FAILED ${name}: ${String(error.message).slice(0, 700)}`),
});
await engine.close();
process.exitCode = failed || crashed ? 1 : 0;
