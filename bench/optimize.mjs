#!/usr/bin/env node
// `pare optimize` on real models, as a user calls it: size, latency at one thread, accuracy, flips
// and SNR before and after, one row per model.
// Usage: node bench/optimize.mjs FOLDER [NAME ...]   (after npm run build)
// FOLDER holds models/ and data/; the cases below name the files in it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeMachine } from '../dist/optimize/node-machine.js';
import { formatBytes, formatMs, formatPercent, formatRatio } from '../dist/report/format.js';
import { table } from '../dist/report/table.js';

const [folder, ...wanted] = process.argv.slice(2);
if (!folder) {
  console.error('usage: node bench/optimize.mjs FOLDER [NAME ...]');
  process.exit(2);
}
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const unit = 1 / 255;
const cases = {
  stories260k: ['stories260k.onnx', 'stories-tokens.jsonl', 'raw'],
  kwt1: [
    'kwt1_speech_commands.onnx',
    'speech-commands.npz',
    { scale: 1 / 32768, labelMap: [5, 11, 6, 3, 9, 8, 7, 10, 4, 2, 0, 1] },
  ],
  magika: ['magika_v3_3.onnx', 'magika-771.npz', 'raw'],
  lenet: ['lenet_mnist.onnx', 'mnist/t10k-half-images-idx3-ubyte.gz', { scale: unit }],
  resnet20: [
    'resnet20_cifar10.onnx',
    'cifar10-test-3000.npz',
    { layout: 'NCHW', scale: unit, ...imagenet },
  ],
  resnet8: ['resnet8_cifar10.onnx', 'cifar10-test-3000.npz', { layout: 'NCHW', scale: 1 }],
  vww: ['vww_mobilenetv1_025_96.onnx', 'vww-400.npz', { layout: 'NCHW', scale: unit }],
  kws: [
    'kws_dscnn_fp32_bn.onnx',
    'kws-mfcc.npz',
    { mean: 83, std: 1 / 0.5847029089927673, shape: [1, 49, 10] },
  ],
};
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const temp = mkdtempSync(join(tmpdir(), 'pare-bench-'));
const rows = [];
let failures = 0;
try {
  for (const [name, [model, data, preprocess]] of Object.entries(cases)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const paths = [join(folder, 'models', model), join(folder, 'data', data)].map((p) =>
      resolve(p),
    );
    if (!paths.every(existsSync)) {
      console.error(`${name}: ${paths.join(' or ')} is missing, skipped`);
      continue;
    }
    const args = ['optimize', paths[0], '--data', paths[1], '--target', 'node'];
    args.push(
      '--preprocess',
      typeof preprocess === 'string' ? preprocess : JSON.stringify(preprocess),
    );
    args.push('--max-drop', '0.5', '--threads', '1', '-o', join(temp, `${name}.onnx`), '--json');
    const start = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    const seconds = (performance.now() - start) / 1000;
    const document = stdout ? JSON.parse(stdout) : undefined;
    if (status !== 0) {
      failures++;
      rows.push([name, `exit ${status}`, (document?.error?.message ?? stderr).trim().slice(0, 60)]);
      continue;
    }
    const { original, optimized, candidate, promise } = document.receipt;
    for (const [label, side] of [
      [name, original],
      [`  ${candidate}`, optimized],
    ]) {
      const { evaluation, bench } = side;
      const score = evaluation.classification?.top1 ?? evaluation.tokens?.nextToken;
      rows.push([
        label,
        formatBytes(side.bytes),
        formatMs(bench.medianMs),
        bench.speedUp ? formatRatio(bench.speedUp.ratio) : '',
        formatPercent(score.share),
        evaluation.tokens?.perplexity?.toFixed(4) ?? '',
        evaluation.drop ? evaluation.drop.points.toFixed(2) : '',
        evaluation.flips ? formatPercent(evaluation.flips.share) : '',
        evaluation.outputs[0].agreement?.snrDb?.toFixed(1) ?? '',
        String(evaluation.samples),
        side === original ? '' : seconds.toFixed(0),
      ]);
    }
    if (optimized.evaluation.drop.points > promise.maxDrop) failures++;
    if (optimized.bench.speedUp?.interval?.[1] < 1) {
      failures++;
      console.error(`${name}: slower than float`);
    }
  }
} finally {
  rmSync(temp, { recursive: true, force: true });
}
const machine = describeMachine();
const right = (header) => ({ header, align: 'right' });
console.log(
  table(
    [
      { header: 'model' },
      ...[
        'size',
        'latency',
        'speed',
        'accuracy',
        'perplexity',
        'drop',
        'flips',
        'SNR dB',
        'n',
        's',
      ].map(right),
    ],
    rows,
    {
      notes: [
        `--max-drop 0.5 --threads 1, ${machine.cpu}, ${machine.cores} cores, VNNI ${machine.vnni}, Node ${machine.node}`,
      ],
    },
  ),
);
process.exitCode = failures > 0 ? 1 : 0;
