/**
 * Brings a model into a form that a runtime loads. onnxruntime-node takes a path as it is, bytes
 * in one piece, and what is too large for one piece from a temporary folder; onnxruntime-web has
 * no files and takes everything in memory.
 */
import { stat } from 'node:fs/promises';
import { PareError } from '../../errors.js';
import { bytesSource } from '../../onnx/byte-source.js';
import { decodeModel } from '../../onnx/decode.js';
import { externalLocations } from '../../onnx/external.js';
import { nodeExternalFiles } from '../../onnx/node-external.js';
import { nodeFileSource } from '../../onnx/node-file-source.js';
import type { ModelSource } from '../engine.js';
import {
  byteLimit,
  bytesInMemory,
  type ExternalBytes,
  modelInMemory,
  openBytes,
} from '../remote/model-in-memory.js';
import type { OpenModel } from '../remote/remote-engine.js';
import { createTempFolder } from './temp-files.js';

/** From here on a model is loaded from disk: as bytes it would be in memory three times. */
const maxBytesInMemory = 1_500_000_000;

/** Throws `io` for a path that is no readable file. */
export async function openModel(source: ModelSource): Promise<OpenModel> {
  if ('path' in source) {
    await checkFile(source.path);
    return { model: source, options: {}, transfer: [], dispose: undefined };
  }
  if (bytesInMemory(source) > maxBytesInMemory) return await writeModel(source);
  return modelInMemory(source);
}

/**
 * The same without files: reads a model and its external data into memory.
 * Throws `unsupported` above `maxBytes`, before anything that large is read.
 */
export async function readModel(source: ModelSource, maxBytes: number): Promise<OpenModel> {
  if (!('path' in source)) return modelInMemory(source, maxBytes);
  await checkFile(source.path);
  const count = byteLimit(maxBytes, source.path);
  const readCounted = async (path: string) => {
    const file = await nodeFileSource(path);
    try {
      count(file.byteLength);
      return await file.slice(0, file.byteLength);
    } finally {
      await file.close();
    }
  };
  const bytes = await readCounted(source.path);
  const externalData: ExternalBytes[] = [];
  for (const { location, file } of await externalPaths(source.path, bytes)) {
    externalData.push({ path: location, data: await readCounted(file) });
  }
  return openBytes(bytes, externalData);
}

/** The external data files that a model names, each by its location and where it really lies. */
export async function externalPaths(
  path: string,
  bytes: Uint8Array,
): Promise<{ location: string; file: string }[]> {
  const external = nodeExternalFiles(path);
  try {
    const locations = externalLocations(await decodeModel(bytesSource(bytes, path)));
    const found: { location: string; file: string }[] = [];
    for (const location of locations) {
      found.push({ location, file: (await external.files(location)).name });
    }
    return found;
  } finally {
    await external.close();
  }
}

/** Writes the model and its external data to a temporary folder. The caller removes it. */
export async function writeModel(
  source: Exclude<ModelSource, { readonly path: string }>,
): Promise<OpenModel & { readonly model: { readonly path: string } }> {
  const folder = await createTempFolder();
  try {
    const path = await folder.write('model.onnx', source.parts);
    for (const [location, parts] of source.externalData ?? []) await folder.write(location, parts);
    return { model: { path }, options: {}, transfer: [], dispose: () => folder.remove() };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

export async function checkFile(path: string): Promise<void> {
  const info = await stat(path).catch((cause) => {
    throw new PareError('io', 'create session: cannot read the model', { file: path, cause });
  });
  if (!info.isFile()) {
    throw new PareError('io', 'create session: not a file', { file: path });
  }
}
