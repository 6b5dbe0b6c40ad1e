/** The modules of pare that the training benchmark uses, as one object. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const names = [
  'index.js',
  'node.js',
  'engine/host-tensor.js',
  'engine/model-source.js',
  'engine/node.js',
  'engine/shapes.js',
  'graph/emitter.js',
  'graph/model.js',
  'graph/value-type.js',
  'onnx/tensor.js',
  'optimize/node-machine.js',
  'random.js',
  'train/finetune-options.js',
  'train/loss-plan.js',
  'train/memory.js',
  'train/open-batch.js',
  'train/step.js',
  'train/step-runner.js',
];

/** @param {string} dist folder of a build */
export async function modulesOf(dist) {
  const load = (name) => import(pathToFileURL(resolve(dist, name)).href);
  return Object.assign({}, ...(await Promise.all(names.map(load))));
}
