#!/usr/bin/env node
/**
 * Simplifies every .onnx file of a folder and compares the result with the original on seeded
 * random inputs: nodes, operators that left, bytes of initializers, relative error
 * max|a-b| / max|a|, and time. As a control, the same error when every second number of a large
 * weight is made 10 % larger: random weights can make outputs faint, and where the control is
 * small too, the comparison shows little. Outputs that are constant or zero are named. Exits with
 * 1 when an output differs by 1e-5 or more, or a second run changes anything.
 *
 * usage: node bench/simplify.mjs FOLDER [--only NAME,...] [--latency] [--dims JSON]
 * --dims gives inputs the dims that a model wants: '{"state":[2,1,128]}'
 */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { eachModel } from '../test/conformance/each-model.mjs';

const dist = new URL(process.env.PARE_DIST ?? '../dist/', import.meta.url);
const use = (path) => import(new URL(path, dist));
const { createNodeEngine } = await use('engine/node.js');
const { float32Of, randomFeeds } = await use('engine/host-tensor.js');
const { modelSource } = await use('engine/model-source.js');
const { cloneModel } = await use('graph/clone.js');
const { Tensor } = await use('onnx/tensor.js');
const { differenceOf } = await use('graph/equal.js');
const { openModel } = await use('node.js');
const { simplify } = await use('simplify/index.js');

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, latency: { type: 'boolean' }, dims: { type: 'string' } },
});
const [folder] = positionals;
if (!folder) {
  console.error(
    'usage: node bench/simplify.mjs FOLDER [--only NAME,...] [--latency] [--dims JSON]',
  );
  process.exit(2);
}

const limit = 1e-5;
const givenDims = JSON.parse(flags.dims ?? '{}');
const engine = await createNodeEngine({ threads: 1 });
console.log(`${cpus()[0].model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`);
console.log(`node ${process.version}, ${engine.name} ${engine.version}\n`);
console.log(
  '| model | nodes | after | operators that changed | MB of weights | after | rel. error | control | ms |',
);
console.log('|---|--:|--:|---|--:|--:|--:|--:|--:|');
const remarks = [];
let failed = false;
const crashed = await eachModel(openModel, folder, flags.only, {
  visit: measure,
  onError(error, name) {
    remarks.push(`${name}: ${error.message}`);
    console.log(`| ${name} | failed | | | | | | | |`);
  },
});
await engine.close();
for (const remark of remarks) console.log(`\n${remark}`);
process.exitCode = failed || crashed ? 1 : 0;

async function measure(model, name) {
  const start = performance.now();
  const { model: simple, report } = await simplify(model, {}, { engine });
  const ms = performance.now() - start;
  const { model: twice } = await simplify(simple, {}, { engine });
  const difference = await differenceOf(simple, twice);
  if (difference) {
    failed = true;
    remarks.push(`${name}: a second run changes ${difference}`);
  }
  const error = await compare(model, simple, name);
  if (!(error < limit)) failed = true;
  const control = await controlOf(model, simple);
  console.log(
    `| ${name} | ${report.nodesBefore} | ${report.nodesAfter} | ${changedOperators(model, simple)} ` +
      `| ${megabytes(model)} | ${megabytes(simple)} | ${error.toExponential(1)} | ${control} | ${ms.toFixed(0)} |`,
  );
  for (const { node, op, reason } of report.skipped) {
    if (process.env.VERBOSE) remarks.push(`${name}: ${op} ${node} stays: ${reason}`);
  }
  for (const note of report.notes.filter((text) => !text.startsWith('removed '))) {
    remarks.push(`${name}: ${note}`);
  }
  if (flags.latency) await compareLatency(model, simple, name);
}

/** The error of a real difference; '' for a model without float weights that matter. */
async function controlOf(model, simple) {
  const weights = simple.graph.initializers
    .filter(({ initializer }) => initializer?.dataType === 'float' && initializer.size > 1)
    .sort((a, b) => b.initializer.size - a.initializer.size);
  // The largest may be a mask or a table of which these inputs use nothing.
  let most = 0;
  for (const { name } of weights.slice(0, 8)) {
    const copy = cloneModel(simple);
    const value = copy.graph.value(name);
    const { dims } = value.initializer;
    const numbers = (await value.initializer.floats()).map((n, i) => (i % 2 === 0 ? 1.1 * n : n));
    value.initializer = Tensor.of('float', dims, numbers);
    most = Math.max(most, await compare(model, copy));
    if (most > 100 * limit) break;
  }
  return most > 0 ? most.toExponential(1) : '';
}

/** Without a name nothing is remarked. */
async function compare(model, simple, name) {
  const open = await openDimsThatRun(model);
  const before = await outputsOf(model, open);
  const after = await outputsOf(simple, open);
  let worst = 0;
  for (const [seed, outputs] of before.entries()) {
    for (const [output, a] of Object.entries(outputs)) {
      const b = after[seed][output];
      const left = float32Of(a);
      const right = float32Of(b);
      if (String(a.dims) !== String(b.dims))
        throw new Error(`${output}: dims ${a.dims} became ${b.dims}`);
      let largest = 0;
      let apart = 0;
      let spread = false;
      for (let i = 0; i < left.length; i++) {
        const same = Object.is(left[i], right[i]);
        largest = Math.max(largest, Math.abs(left[i]));
        apart = Math.max(apart, same ? 0 : Math.abs(left[i] - right[i]));
        if (!same && Number.isNaN(left[i] - right[i])) apart = Number.POSITIVE_INFINITY;
        if (left[i] !== left[0]) spread = true;
      }
      if (name && (largest === 0 || (!spread && left.length > 1))) {
        remarks.push(`${name}: output ${output} is constant (${left[0]}) for seed ${seed}`);
      }
      worst = Math.max(worst, largest === 0 ? apart : apart / largest);
    }
  }
  return worst;
}

/** One set of outputs per seed. Without graph optimization, so that only pare's changes count. */
async function outputsOf(model, open) {
  const session = await engine.createSession(await modelSource(model), {
    optimization: 'disabled',
  });
  try {
    const results = [];
    for (const seed of [0, 1]) {
      results.push(await session.run(feedsFor(session, seed, open)));
    }
    return results;
  } finally {
    await session.release();
  }
}

/** What an open dim is set to: some models take no short sequences. */
async function openDimsThatRun(model) {
  const sizes = [8, 64, 512];
  for (const size of sizes) {
    try {
      await outputsOf(model, size);
      return size;
    } catch (error) {
      if (size === sizes.at(-1)) throw error;
    }
  }
}

function feedsFor(session, seed, open) {
  const sized = session.inputs.map(({ name, dims }) => [
    name,
    dims?.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : open)) ?? [],
  ]);
  return randomFeeds(session.inputs, {
    seed,
    dims: { ...Object.fromEntries(sized), ...givenDims },
  });
}

async function compareLatency(model, simple, name) {
  const sessions = [];
  for (const one of [model, simple])
    sessions.push(await engine.createSession(await modelSource(one)));
  const feeds = feedsFor(sessions[0], 0, await openDimsThatRun(model));
  const times = await engine.time(
    sessions.map((session) => ({ session, feeds })),
    { warmup: 3, rounds: 60, maxMs: 8000 },
  );
  const [before, after] = times.map((list) => [...list].sort((a, b) => a - b)[list.length >> 1]);
  remarks.push(`${name}: median ${before.toFixed(3)} ms, simplified ${after.toFixed(3)} ms`);
  for (const session of sessions) await session.release();
}

function changedOperators(model, simple) {
  const counts = new Map();
  for (const [one, sign] of [
    [model, -1],
    [simple, 1],
  ]) {
    for (const node of one.allNodes()) counts.set(node.op, (counts.get(node.op) ?? 0) + sign);
  }
  return [...counts]
    .filter(([, count]) => count !== 0)
    .sort(([, a], [, b]) => a - b)
    .map(([op, count]) => `${count > 0 ? '+' : ''}${count} ${op}`)
    .join(', ');
}

function megabytes(model) {
  let bytes = 0;
  for (const graph of model.allGraphs()) {
    for (const value of graph.initializers) bytes += value.initializer?.byteLength ?? 0;
    for (const node of graph.nodes) bytes += node.tensorAttribute('value')?.byteLength ?? 0;
  }
  return (bytes / 1e6).toFixed(2);
}
