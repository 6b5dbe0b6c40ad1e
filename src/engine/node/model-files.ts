/**
 * Brings a model into a form that onnxruntime-node loads: a path as it is, bytes in one piece,
 * and what is too large for one piece in a temporary folder. Does not look into the model.
 */
import { stat } from 'node:fs/promises';
import { PareError } from '../../errors.js';
import type { ModelSource } from '../engine.js';
import type { WireModel, WireSessionOptions } from './protocol.js';
import { createTempFolder, type TempFolder } from './temp-files.js';

/** From here on a model is loaded from disk: as bytes it would be in memory three times. */
const maxBytesInMemory = 1_500_000_000;

export interface OpenModel {
  readonly model: WireModel;
  readonly options: Pick<WireSessionOptions, 'externalData'>;
  /** Buffers made here, that may move to the worker. */
  readonly transfer: ArrayBuffer[];
  /** Must be removed when the session is released, not before: weights may be mapped from it. */
  readonly folder: TempFolder | undefined;
}

/** Throws `io` for a path that is no readable file. */
export async function openModel(source: ModelSource): Promise<OpenModel> {
  if ('path' in source) {
    await checkFile(source.path);
    return { model: source, options: {}, transfer: [], folder: undefined };
  }
  const external = [...(source.externalData ?? [])];
  const total = sumOf(source.parts) + sumOf(external.flatMap(([, parts]) => parts));
  if (total > maxBytesInMemory) return await writeModel(source);
  const bytes = concat(source.parts);
  const externalData = external.map(([path, parts]) => ({ path, data: concat(parts) }));
  return {
    model: { bytes },
    options: externalData.length > 0 ? { externalData } : {},
    transfer: [bytes.buffer, ...externalData.map(({ data }) => data.buffer)],
    folder: undefined,
  };
}

/** Writes the model and its external data to a temporary folder. The caller removes it. */
export async function writeModel(
  source: Exclude<ModelSource, { readonly path: string }>,
): Promise<OpenModel & { readonly model: { readonly path: string } }> {
  const folder = await createTempFolder();
  try {
    const path = await folder.write('model.onnx', source.parts);
    for (const [location, parts] of source.externalData ?? []) await folder.write(location, parts);
    return { model: { path }, options: {}, transfer: [], folder };
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

function sumOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sumOf(parts));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
