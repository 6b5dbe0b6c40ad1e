#!/usr/bin/env node
/**
 * What weights below the normal numbers cost on this machine: a model as it is, with every 24th
 * output channel (at least one) of its weights at 1e-40, as weight decay leaves dead channels, and
 * that one again behind pare's rewrite flush-subnormals. Medians of runs in turn.
 *
 * usage: node bench/subnormals.mjs MODEL.onnx [--threads 1,2] [--batch 1] [--rounds 31]
 */
import { parseArgs } from 'node:util';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '1,2' },
    batch: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '31' },
  },
});
const [path] = positionals;
if (!path) {
  console.error('usage: node bench/subnormals.mjs MODEL.onnx');
  process.exit(2);
}
const use = (file) => import(new URL(`../dist/${file}`, import.meta.url));
const pare = { ...(await use('index.js')), ...(await use('node.js')) };
const { Tensor } = await use('onnx/tensor.js');
const { median } = await use('measure/statistics.js');
const { describeMachine } = await use('optimize/node-machine.js');

const { model, close } = await pare.openModel(path);
const damaged = pare.cloneModel(model);
let count = 0;
for (const value of damaged.graph.initializers) {
  const { dataType, dims, size } = value.initializer;
  if (dataType !== 'float' || dims.length < 2) continue;
  const numbers = Float32Array.from(await value.initializer.floats());
  const row = size / dims[0];
  for (let channel = 0; channel < dims[0]; channel += 24) {
    numbers.fill(1e-40, channel * row, (channel + 1) * row);
    count += row;
  }
  value.initializer = Tensor.of('float', dims, numbers);
}
const { model: flushed, report } = await pare.simplify(damaged, { include: ['flush-subnormals'] });
const { cpu } = describeMachine();
console.log(
  `${cpu}, batch ${flags.batch}, ${count} weights at 1e-40, ${report.changed.length} tensors`,
);
console.log('| threads | as it is, ms | with subnormal weights, ms | flushed, ms | ratio |');
console.log('|--:|--:|--:|--:|--:|');
for (const threads of flags.threads.split(',').map(Number)) {
  const engine = await pare.createNodeEngine({ threads });
  const entries = [];
  for (const each of [model, damaged, flushed]) {
    const session = await engine.createSession(await pare.modelSource(each));
    const open = session.inputs.map(({ dims }) => dims[0]).filter((dim) => typeof dim === 'string');
    const dims = Object.fromEntries(open.map((symbol) => [symbol, Number(flags.batch)]));
    entries.push({ session, feeds: pare.randomFeeds(session.inputs, { dims, seed: 1 }) });
  }
  const times = await engine.time(entries, { warmup: 3, rounds: Number(flags.rounds) });
  const [own, slow, fast] = times.map(median);
  const cells = [own.toFixed(2), slow.toFixed(2), fast.toFixed(2), (slow / fast).toFixed(1)];
  console.log(`| ${[threads, ...cells].join(' | ')} |`);
  await engine.close();
}
await close();
