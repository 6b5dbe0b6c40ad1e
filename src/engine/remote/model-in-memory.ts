/**
 * Brings a model that is in memory into the form that a runtime loads: bytes in one piece, and
 * external data beside them by location. Knows no platform and no files.
 */
import { PareError } from '../../errors.js';
import type { ModelSource } from '../engine.js';
import type { OpenModel } from './remote-engine.js';

export type MemorySource = Exclude<ModelSource, { readonly path: string }>;

export interface ExternalBytes {
  readonly path: string;
  readonly data: Uint8Array;
}

/**
 * The heap of WASM ends at 4 GiB, and while a session is made it holds the file, the weights read
 * from it and their packed form: 1 GB of MatMul weights loads, 1.5 GB is an error of the runtime.
 */
export const maxWasmModelBytes = 2 ** 31 - 1;

export function bytesInMemory({ parts, externalData }: MemorySource): number {
  return sumOf(parts) + sumOf([...(externalData?.values() ?? [])].flat());
}

/** Throws `unsupported` above `maxBytes`, before anything is copied. */
export function modelInMemory(
  source: MemorySource,
  maxBytes = Number.POSITIVE_INFINITY,
): OpenModel {
  byteLimit(maxBytes)(bytesInMemory(source));
  return openBytes(
    concat(source.parts),
    Array.from(source.externalData ?? [], ([path, parts]) => ({ path, data: concat(parts) })),
  );
}

/** @param bytes, externalData each with a buffer of its own, which moves to the worker */
export function openBytes(bytes: Uint8Array, externalData: readonly ExternalBytes[]): OpenModel {
  return {
    model: { bytes },
    options: externalData.length > 0 ? { externalData } : {},
    transfer: [bytes, ...externalData.map(({ data }) => data)].map(
      ({ buffer }) => buffer as ArrayBuffer,
    ),
    dispose: undefined,
  };
}

/** Adds bytes up and throws `unsupported` when they are more than WASM loads. */
export function byteLimit(maxBytes: number, file?: string): (bytes: number) => void {
  let total = 0;
  return (bytes) => {
    total += bytes;
    if (total <= maxBytes) return;
    throw new PareError(
      'unsupported',
      `create session: the model has ${total} bytes or more, WASM loads up to ${maxBytes}`,
      {
        file,
        hint: 'its memory ends at 4 GiB, and a model is in it twice while it loads; use the target node',
      },
    );
  };
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
