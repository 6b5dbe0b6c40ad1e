/**
 * All commands, in the order in which help lists them. Only names, summaries and examples are
 * here, so that `pare --help` loads nothing else; a new command is one file and one entry.
 */
import type { LightCommand } from '../command.js';

export const commands: readonly LightCommand[] = Object.freeze([
  {
    name: 'optimize',
    summary: 'find the smallest and fastest form of a model that keeps its accuracy, measured',
    example: 'optimize resnet.onnx --data photos --preprocess imagenet --max-drop 0.5',
    load: async () => (await import('./optimize.js')).optimizeCommand,
  },
  {
    name: 'inspect',
    summary: 'show what is in a model and what pare can do with it',
    example: 'inspect resnet.onnx',
    load: async () => (await import('./inspect.js')).inspectCommand,
  },
  {
    name: 'simplify',
    summary: 'fold constants, merge duplicates and remove nodes that change nothing',
    load: async () => (await import('./simplify.js')).simplifyCommand,
  },
  {
    name: 'quantize',
    summary: 'apply one quantization scheme and report every node that it left alone',
    example: 'quantize bert.onnx --scheme dynamic',
    load: async () => (await import('./quantize.js')).quantizeCommand,
  },
  {
    name: 'calibration',
    summary: 'show what calibration found of every value, and pin ranges',
    load: async () => (await import('./calibration.js')).calibrationCommand,
  },
  {
    name: 'prune',
    summary: 'take weights or whole blocks out, and report what stayed and why',
    example: 'prune net.onnx --method unstructured --sparsity 80% --compress',
    load: async () => (await import('./prune.js')).pruneCommand,
  },
  {
    name: 'finetune',
    summary: 'train a pruned or changed model until it is as good as before',
    example: 'finetune small.onnx --teacher net.onnx --data photos --preprocess imagenet',
    load: async () => (await import('./finetune.js')).finetuneCommand,
  },
  {
    name: 'explain',
    summary: 'show which neurons and connections matter, and how sure that is',
    example: 'explain resnet.onnx --data photos --preprocess imagenet --samples 200',
    load: async () => (await import('./explain.js')).explainCommand,
  },
  {
    name: 'evaluate',
    summary: 'measure accuracy on data, and agreement with the first model',
    load: async () => (await import('./evaluate.js')).evaluateCommand,
  },
  {
    name: 'bench',
    summary: 'time models side by side, interleaved, with their peak memory',
    example: 'bench resnet.onnx resnet.opt.onnx --threads 1',
    load: async () => (await import('./bench.js')).benchCommand,
  },
  {
    name: 'verify',
    summary: 'run a receipt again: same file, same recipe, same accuracy, promise kept',
    load: async () => (await import('./verify.js')).verifyCommand,
  },
  {
    name: 'diff',
    summary: 'compare two models: interface, nodes, weights, outputs',
    load: async () => (await import('./diff.js')).diffCommand,
  },
  {
    name: 'demo',
    summary: 'optimize a small digit classifier that comes with pare; offline, in seconds',
    load: async () => (await import('./demo.js')).demoCommand,
  },
]);
