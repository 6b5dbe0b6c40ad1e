/**
 * The models of the static quantization benchmarks with their data and preprocessing, and the
 * steps that bench/quantize.mjs and bench/calibrate-memory.mjs share: opening a case, and feeds
 * out of its samples. Files are looked for in FOLDER/models and FOLDER/data.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const imagenet = { preset: 'imagenet' };
const cifar = {
  layout: 'NCHW',
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};
const cifarTest = 'cifar10-test-3000.npz';

/** By name: file of the model, file or folder of the data, preprocessing. */
export const cases = {
  'squeezenet1.1': ['squeezenet1.1.onnx', 'imagenet-500', imagenet],
  mobilenetv2: ['mobilenetv2.onnx', 'imagenet-500', imagenet],
  resnet20: ['resnet20_cifar10.onnx', cifarTest, cifar],
  resnet56: ['resnet56_cifar10.onnx', cifarTest, cifar],
  resnet8: ['resnet8_cifar10.onnx', cifarTest, { layout: 'NCHW', scale: 1 }],
  vww: ['vww_mobilenetv1_025_96.onnx', 'vww-400.npz', { layout: 'NCHW', scale: 1 / 255 }],
  kws: [
    'kws_dscnn_fp32_bn.onnx',
    'kws-mfcc.npz',
    { mean: 83, std: 1 / 0.5847029089927673, shape: [1, 49, 10] },
  ],
  kwt1: [
    'kwt1_speech_commands.onnx',
    'speech-commands.npz',
    { scale: 1 / 32768, labelMap: [5, 11, 6, 3, 9, 8, 7, 10, 4, 2, 0, 1] },
  ],
};

/** Where static quantization is not the question: language and bytes, and a small classic. */
export const otherCases = {
  stories260k: ['stories260k.onnx', 'stories-tokens.jsonl', 'raw'],
  magika: ['magika_v3_3.onnx', 'magika-771.npz', 'raw'],
  lenet: ['lenet_mnist.onnx', 'mnist/t10k-half-images-idx3-ubyte.gz', { scale: 1 / 255 }],
};

/** Samples for calibration: the first ones. */
export const calibrationCount = 100;
/** Most samples that are evaluated, out of those behind. */
const mostEvaluated = 1000;

export const range = (start, end) =>
  Uint32Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);

/** The file's modules out of the build in `dist`. */
export async function usePare(dist) {
  const use = (path) => import(new URL(path, dist));
  return {
    ...(await use('data/batches.js')),
    ...(await use('data/node.js')),
    ...(await use('data/npz.js')),
    ...(await use('engine/model-source.js')),
    ...(await use('engine/node.js')),
    ...(await use('errors.js')),
    ...(await use('measure/bench.js')),
    ...(await use('measure/evaluate.js')),
    ...(await use('node.js')),
    ...(await use('optimize/node-machine.js')),
    ...(await use('optimize/recipe.js')),
    ...(await use('pass.js')),
    ...(await use('quantize/calibrate/collect.js')),
    ...(await use('quantize/fusion.js')),
    ...(await use('quantize/static.js')),
    ...(await use('quantize/weight-only.js')),
    ...(await use('report/format.js')),
    ...(await use('simplify/index.js')),
  };
}

/** Undefined, with a line on stderr, where a file is missing. */
export async function openCase(pare, engine, folder, name) {
  const [file, dataFile, preprocess] = { ...cases, ...otherCases }[name];
  const path = join(folder, 'models', file);
  const data = join(folder, 'data', dataFile);
  const missing = [path, data].filter((found) => !existsSync(found));
  if (missing.length > 0) {
    console.error(`${name}: skipped, ${missing.join(' and ')} not there`);
    return undefined;
  }
  const session = await engine.createSession({ path });
  const ports = session.inputs;
  await session.release();
  const dataset = await pare.openPath(data, { ports, preprocess });
  const evaluated = Math.min(mostEvaluated, dataset.size - calibrationCount);
  const { model, close } = await pare.openModel(path);
  return {
    path,
    ports,
    dataset,
    model,
    close,
    evaluate: range(calibrationCount, calibrationCount + evaluated),
    /** Feeds of one sample at a time. */
    async *feeds(count = calibrationCount) {
      const options = { batchSize: 1, indices: range(0, count) };
      for await (const batch of pare.batches(dataset, ports, options)) yield batch.feeds;
    },
  };
}
