/**
 * pare on Node: models from and to files, data from disk, the engine over onnxruntime-node.
 * The library that runs everywhere is index.ts.
 */
import { basename } from 'node:path';
import { type OutputFile, type WriteOptions, writeFilesAtomic } from './disk/write-file.js';
import { PareError } from './errors.js';
import type { Model } from './graph/model.js';
import { modelToProto } from './graph/to-proto.js';
import { encode, encodeWithExternalData, loadModel } from './load.js';
import { nodeExternalFiles } from './onnx/node-external.js';
import { nodeFileSource } from './onnx/node-file-source.js';

export { loadPreprocess, openPath as openData } from './data/node.js';
export { createNodeEngine, type NodeEngineOptions } from './engine/node.js';
export { createEngineFor } from './engine/node-targets.js';
export { brotliCounter } from './measure/node-compress.js';

export interface OpenModel {
  readonly model: Model;
  /** The model's file and its external data files: what must not be written over. */
  readonly files: readonly string[];
  /** Closes the files. Weights that were not read by then are lost. */
  close(): Promise<void>;
}

/**
 * Opens a model file. Weights are read when they are needed, so keep it open while you work.
 * Throws `invalid-model` when the file is missing or no readable ONNX model.
 *
 * @example
 * const { model, close } = await openModel('resnet.onnx');
 * try { await save(await simplify(model), 'resnet.small.onnx'); } finally { await close(); }
 */
export async function openModel(path: string): Promise<OpenModel> {
  const source = await nodeFileSource(path).catch((error: unknown) => {
    // For a model "cannot be read" is one thing, whether the file or its content is the reason.
    if (!(error instanceof PareError)) throw error;
    const { hint } = error;
    throw new PareError('invalid-model', error.message, { hint, cause: error });
  });
  const files = new Set([path]);
  const external = nodeExternalFiles(path);
  const close = async () => {
    await source.close();
    await external.close();
  };
  try {
    const model = await loadModel(source, async (location) => {
      const file = await external.files(location);
      files.add(file.name);
      return file;
    });
    model.file = path;
    return { model, files: [...files], close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Above this a model is written with its weights in a file of their own. */
const inlineLimit = 1.8e9;

/**
 * Writes a model, whole or not at all. A model too large for one protobuf file gets its weights
 * in `NAME.onnx.data` beside it. Returns the files that were written.
 * Throws `usage` when the file exists (without `force`) or is one of the `inputs`, `io` when the
 * disk refuses.
 */
export async function saveModel(
  model: Model,
  path: string,
  options: WriteOptions = {},
): Promise<string[]> {
  const files = await modelFiles(model, path);
  await writeFilesAtomic(files, options);
  return files.map((file) => file.path);
}

/** The files of a model, data files first, ready to be written. Their parts can be read again. */
export async function modelFiles(model: Model, path: string): Promise<OutputFile[]> {
  let bytes = 0;
  for (const tensor of modelToProto(model).contents.values()) bytes += tensor.byteLength;
  if (bytes <= inlineLimit) return [{ path, parts: await encode(model) }];
  const location = `${basename(path)}.data`;
  const { parts, files } = await encodeWithExternalData(model, { location });
  const folder = path.slice(0, path.length - basename(path).length);
  return [
    ...files.map((file) => ({
      path: folder + file.location,
      // Read twice: once for its hash, once to be written.
      parts: { [Symbol.asyncIterator]: () => file.parts()[Symbol.asyncIterator]() },
    })),
    { path, parts },
  ];
}
