#!/usr/bin/env node
// Reports of a model, as files to open and to pass on: one page per command, each complete in
// itself. The commands are those that a user types, and the later ones take what the earlier ones
// made: the pruned model is trained, and all that came out is timed, evaluated and compared.
//
//   npm run build
//   node examples/reports.mjs OUT [MODEL DATA [PREPROCESS]] [--samples N] [--only NAME,...]
//     [--scheme static] [--epochs N] [--batch-size N] [--freeze PATTERN] [--vocabulary FILE]
//     [--no-ablation]
//
// Without a model it takes the digits that come with pare. OUT is made; files in it are replaced.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    samples: { type: 'string', default: '500' },
    only: {
      type: 'string',
      default: 'explain,optimize,quantize,prune,finetune,bench,evaluate,diff',
    },
    scheme: { type: 'string', default: 'static' },
    epochs: { type: 'string', default: '2' },
    vocabulary: { type: 'string' },
    'batch-size': { type: 'string' },
    freeze: { type: 'string' },
    'no-ablation': { type: 'boolean', default: false },
  },
});
const [out, ...given] = positionals;
if (!out) {
  console.error('usage: node examples/reports.mjs OUT [MODEL DATA [PREPROCESS]]');
  process.exit(2);
}
const asset = (name) => fileURLToPath(new URL(`../assets/${name}`, import.meta.url));
const [model = asset('digits.onnx'), data = asset('digits.npz')] = given;
const preprocess = given[2] ?? (given.length === 0 ? 'unit' : 'raw');
const name = basename(model, '.onnx');
const at = (suffix) => resolve(join(out, `${name}.${suffix}`));
mkdirSync(out, { recursive: true });

const reading = ['--data', data, '--preprocess', preprocess];
const limit = ['--samples', values.samples];
const words = values.vocabulary ? ['--vocabulary', values.vocabulary] : [];
const curves = ['--curve-samples', values.samples];
if (values['no-ablation']) curves.push('--no-ablation');
const pruned = at('pruned.onnx');
/** What the commands before have made, the original first. */
const made = (...suffixes) => [model, ...suffixes.map(at).filter((file) => existsSync(file))];
/** To quantize and to prune by; the samples behind them evaluate the result. */
const calibrate = ['--samples', String(Math.min(100, Number(values.samples)))];
/** To train: small data make small batches, so that there are some. */
const fitting = Math.min(32, Math.max(1, Math.floor(Number(values.samples) / 4)));
const batch = values['batch-size'] ?? String(fitting);
const frozen = values.freeze ? ['--freeze', values.freeze] : [];
const commands = {
  explain: () => [model, ...reading, ...limit, ...curves, ...words, '-o', at('explanation.json')],
  optimize: () => [model, ...reading, ...limit, '-o', at('opt.onnx')],
  quantize: () => [
    ...[model, '--scheme', values.scheme, ...reading, ...calibrate],
    ...['-o', at('quantized.onnx')],
  ],
  prune: () => [
    ...[model, '--method', 'structured', '--ratio', '20%', ...reading, ...calibrate],
    ...['-o', pruned],
  ],
  finetune: () => [
    ...[existsSync(pruned) ? pruned : model, '--teacher', model, ...reading, ...limit],
    ...['--epochs', values.epochs, '--batch-size', batch, ...frozen, '-o', at('tuned.onnx')],
  ],
  bench: () => [...made('quantized.onnx', 'tuned.onnx'), ...reading],
  evaluate: () => [...made('quantized.onnx', 'tuned.onnx'), ...reading, ...limit],
  diff: () => [...made('quantized.onnx', 'tuned.onnx').slice(0, 2), ...reading, '--latency'],
};
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
for (const command of values.only.split(',')) {
  const page = at(`${command}.html`);
  const args = [command, ...commands[command](), '--report', page, '--threads', '1', '--force'];
  const { status, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' });
  if (status === 0) console.log(`${page}: ${Math.round(statSync(page).size / 1000)} kB`);
  // 4 and 5: nothing keeps the promise, or nothing is smaller; then there is nothing to report.
  else console.log(`${command}: exit ${status}, no report\n${stderr.trim().split('\n').at(-1)}`);
  if (status !== 0 && status !== 4 && status !== 5) process.exitCode = 1;
}
