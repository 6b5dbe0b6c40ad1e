#!/usr/bin/env node
// Zeros in weights, by criterion and pattern: quality on samples that calibrate nothing, and the
// size of the file as it is, after gzip and after brotli. At the end the speed of a model of zeros.
// Usage: node bench/prune-unstructured.mjs FOLDER [NAME ...]   (after npm run build)
// FOLDER holds models/ and data/; the cases below name the files in it.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { repeatableFeeds } from '../dist/data/repeatable-feeds.js';
import { splitDataset } from '../dist/data/split.js';
import { applyPass, bench, evaluate, modelSource, simplify, sizeOf } from '../dist/index.js';
import { brotliCounter, createNodeEngine, openData, openModel } from '../dist/node.js';
import { portsOf } from '../dist/optimize/measuring.js';
import { describeMachine } from '../dist/optimize/node-machine.js';
import { unstructured } from '../dist/prune/unstructured.js';
import { formatBytes, formatPercent, formatRatio } from '../dist/report/format.js';
import { table } from '../dist/report/table.js';

const [folder, ...wanted] = process.argv.slice(2);
if (!folder) {
  console.error('usage: node bench/prune-unstructured.mjs FOLDER [NAME ...]');
  process.exit(2);
}
const unit = 1 / 255;
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const layers = ['magnitude', 'wanda', 'sparsegpt', 'random'];
const ratios = [0.5, 0.7, 0.8].flatMap((sparsity) => [
  ...layers.map((criterion) => ({ sparsity, criterion })),
  { sparsity, criterion: 'magnitude', scope: 'global' },
]);
const cases = {
  stories260k: {
    model: 'stories260k.onnx',
    data: 'stories-tokens.jsonl',
    preprocess: 'raw',
    // As the papers do: all layers of the blocks, not the classifier at the end.
    exclude: (model) => [[...model.graph.nodes].findLast(({ op }) => op === 'MatMul').label],
    calibrate: 20,
    runs: [{ sparsity: 0.5 }, { pattern: '4:8' }, { pattern: '2:4' }].flatMap((run) =>
      layers.map((criterion) => ({ ...run, criterion })),
    ),
    also: [{ sparsity: 0.5 }, { pattern: '4:8' }, { pattern: '2:4' }].flatMap((run) =>
      ['wanda', 'sparsegpt'].map((criterion) => ({ ...run, criterion, recompute: false })),
    ),
  },
  resnet20: {
    model: 'resnet20_cifar10.onnx',
    data: 'cifar10-test-3000.npz',
    preprocess: JSON.stringify({ layout: 'NCHW', scale: unit, ...imagenet }),
    calibrate: 50,
    evaluate: 500,
    runs: ratios,
  },
  kws: {
    model: 'kws_dscnn_fp32_bn.onnx',
    data: 'kws-mfcc.npz',
    preprocess: JSON.stringify({ scale: 0.5847029089927673, mean: [83 * 0.5847029089927673] }),
    calibrate: 50,
    runs: ratios,
  },
  kwt1: {
    model: 'kwt1_speech_commands.onnx',
    data: 'speech-commands.npz',
    preprocess: JSON.stringify({
      scale: 1 / 32768,
      labelMap: [5, 11, 6, 3, 9, 8, 7, 10, 4, 2, 0, 1],
    }),
    calibrate: 30,
    evaluate: 150,
    // A hundred layers, each behind those before it, would take too long.
    runs: ratios.map((run) => ({ ...run, recompute: false })),
  },
  lenet: {
    model: 'lenet_mnist.onnx',
    data: 'mnist/t10k-half-images-idx3-ubyte.gz',
    preprocess: JSON.stringify({ scale: unit }),
    calibrate: 100,
    evaluate: 1000,
    runs: ratios,
  },
};

const engine = await createNodeEngine({ threads: 1 });
const right = (header) => ({ header, align: 'right' });
try {
  for (const [name, each] of Object.entries(cases)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const paths = [join(folder, 'models', each.model), join(folder, 'data', each.data)];
    if (!paths.every(existsSync)) {
      console.error(`${name}: ${paths.join(' or ')} is missing, skipped`);
      continue;
    }
    await measure(name, each, ...paths.map((path) => resolve(path)));
  }
} finally {
  await engine.close();
}
const { cpu, cores, node } = describeMachine();
console.log(`${cpu}, ${cores} cores, Node ${node}`);

async function measure(name, { preprocess, calibrate, runs, also = [], ...rest }, path, data) {
  const opened = await openModel(path);
  try {
    const { model } = await simplify(opened.model, {}, { engine });
    const original = { name: 'original', source: await modelSource(model) };
    const ports = await portsOf(engine, original);
    const dataset = await openData(data, { ports, preprocess });
    const split = splitDataset(dataset, { calibrate, evaluate: rest.evaluate });
    const samples = repeatableFeeds(dataset, ports, split.calibrate);
    const models = [{ ...original, size: await sizeOfModel(model), seconds: 0, zeros: 0 }];
    for (const options of [...runs, ...also]) {
      const start = performance.now();
      const exclude = rest.exclude?.(model) ?? [];
      const pruned = await applyPass(
        model,
        unstructured,
        { ...options, exclude },
        { engine, samples },
      );
      models.push({
        name: labelOf(options),
        source: await modelSource(pruned.model),
        size: await sizeOfModel(pruned.model),
        seconds: (performance.now() - start) / 1000,
        zeros: pruned.report.notes[0].split(' of ')[0],
      });
    }
    const evaluations = await evaluate(models, dataset, engine, { indices: split.evaluate });
    const rows = models.map(({ size, seconds, zeros }, at) => {
      const { model: label, classification, tokens, samples: n } = evaluations[at];
      return [
        label,
        String(zeros),
        formatPercent((classification?.top1 ?? tokens.nextToken).share),
        tokens ? tokens.perplexity.toFixed(2) : '',
        formatBytes(size.fileBytes),
        formatBytes(size.gzipBytes),
        formatBytes(size.brotliBytes),
        String(n),
        seconds.toFixed(1),
      ];
    });
    const headers = ['zero', 'accuracy', 'perplexity', 'file', 'gzip', 'brotli', 'n', 's'];
    console.log(
      table([{ header: name }, ...headers.map(right)], rows, {
        notes: [`${calibrate} samples calibrate, the others of the table evaluate`],
      }),
    );
    await measureSpeed(name, model, samples);
    await dataset.close?.();
  } finally {
    await opened.close();
  }
}

async function sizeOfModel(model) {
  return await sizeOf(model, { brotli: () => brotliCounter(9) });
}

/** Dense against 90 % zeros, interleaved in one process. */
async function measureSpeed(name, model, samples) {
  const { model: sparse } = await applyPass(model, unstructured, { sparsity: 0.9 }, { engine });
  const pair = await Promise.all(
    [model, sparse].map(async (each, at) => ({
      name: ['dense', '90 % zero'][at],
      source: await modelSource(each),
    })),
  );
  for await (const feeds of samples()) {
    const settings = { threads: [1], rounds: 60, warmup: 5, maxMs: 20_000, memory: false };
    const { rows } = await bench(pair, feeds, engine, settings);
    const [low, high] = rows[1].speedUp.interval ?? [];
    console.log(
      `${name}: 90 % zeros run ${formatRatio(rows[1].speedUp.ratio)} as fast as none (${low?.toFixed(2)} to ${high?.toFixed(2)})\n`,
    );
    return;
  }
}

function labelOf({ sparsity, pattern, criterion, scope, recompute }) {
  const share = pattern ?? formatPercent(sparsity);
  return [
    share,
    criterion,
    scope,
    recompute === false && criterion !== 'magnitude' && criterion !== 'random' ? 'at once' : '',
  ]
    .filter(Boolean)
    .join(' ');
}
