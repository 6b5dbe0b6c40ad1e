#!/usr/bin/env node
/**
 * Where the time of a training step goes: milliseconds in the runtime's kernels, by operator and by
 * node of the model, forward pass, gradients and updates apart.
 *
 * usage: node bench/train-profile.mjs FOLDER NAME [--dist DIR] [--rounds 12] [--threads 1] [--nodes]
 * FOLDER and NAME as for bench/train.mjs. Every kernel counts with the least of the rounds, since
 * other programs disturb single ones. --nodes lists every kernel of the step.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cases, modelOf } from './train-cases.mjs';
import { modulesOf } from './train-modules.mjs';
import { stepOf } from './train-step.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    dist: { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) },
    rounds: { type: 'string', default: '12' },
    threads: { type: 'string', default: '1' },
    nodes: { type: 'boolean', default: false },
  },
});
const [folder, name] = positionals;
if (!folder || !(name in cases)) {
  console.error('usage: node bench/train-profile.mjs FOLDER NAME [--rounds 12] [--nodes]');
  console.error(`names: ${Object.keys(cases).join(', ')}`);
  process.exit(2);
}
const pare = await modulesOf(flags.dist);
const engine = await pare.createNodeEngine({ threads: Number(flags.threads) });
const model = await pare.loadModel(await modelOf(pare, engine, folder, name));
const { step, feeds } = await stepOf(pare, engine, model, cases[name].batch);
const scalar = (number) => pare.hostTensor('float', [], Float32Array.of(number));
const all = {
  ...feeds,
  ...Object.fromEntries(step.state),
  [step.learningRate]: scalar(1e-3),
  [step.step]: scalar(1),
};
const session = { optimization: 'all', memoryPattern: false, runs: 1 };
const source = await pare.modelSource(step.model);
let rows = [];
for (let round = 0; round < Number(flags.rounds); round++) {
  const found = await engine.profile(source, all, session);
  rows = found.map((row, at) => ({
    ...row,
    ms: Math.min(row.totalUs / 1000, rows[at]?.ms ?? Number.POSITIVE_INFINITY),
  }));
}
await engine.close();

const total = rows.reduce((sum, row) => sum + row.ms, 0);
const forward = new Set([...model.graph.nodes].map(({ label }) => label));
/** 'updates', or the node of the model that the kernel computes or differentiates. */
function ownerOf({ node }) {
  const text = node.replace(/^.*?(gradient|step|loss)\//, '$1/');
  if (text.startsWith('step/')) return ['updates', 'updates'];
  const isGradient = text.startsWith('gradient/');
  const label = isGradient ? text.slice('gradient/'.length) : node;
  const owner = [...forward]
    .filter((each) => label.startsWith(each))
    .sort((a, b) => b.length - a.length)[0];
  return [owner ?? (isGradient ? 'gradient' : 'loss'), isGradient ? 'gradient' : 'forward'];
}
function table(title, keyOf, parts) {
  const sums = new Map();
  for (const row of rows) {
    const [key, part] = keyOf(row);
    const sum = sums.get(key) ?? Object.fromEntries(parts.map((each) => [each, 0]));
    sum[part] += row.ms;
    sums.set(key, sum);
  }
  const whole = (sum) => parts.reduce((ms, part) => ms + sum[part], 0);
  console.log(`\n| ${[title, ...parts, 'ms', 'share'].join(' | ')} |`);
  console.log(`|---|${'--:|'.repeat(parts.length + 2)}`);
  for (const [key, sum] of [...sums].sort(([, a], [, b]) => whole(b) - whole(a))) {
    const share = `${((100 * whole(sum)) / total).toFixed(1)} %`;
    const cells = [...parts.map((part) => sum[part]), whole(sum)].map((ms) => ms.toFixed(2));
    console.log(`| ${[key, ...cells, share].join(' | ')} |`);
  }
}

const parts = ['forward', 'gradient', 'updates'];
console.log(
  `${name}: ${total.toFixed(1)} ms in ${rows.length} kernels, ${engine.name} ${engine.version}`,
);
table('operator', (row) => [row.opType, ownerOf(row)[1]], parts);
table('node', (row) => ownerOf(row), parts);
if (flags.nodes) {
  console.log();
  for (const row of rows) console.log(row.ms.toFixed(3), row.opType, row.node, row.outputBytes);
}
