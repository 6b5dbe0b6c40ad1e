/**
 * External data: tensors whose bytes lie in files beside the model. Parses where they are and
 * refuses what would lead out of the model's folder; the files themselves come from an injected
 * `ExternalFiles` (node-external.ts on disk, `externalFilesFromMap` anywhere).
 * Source: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
 */
import { type ErrorPlace, PareError } from '../errors.js';
import { type ByteSource, blobSource, bytesSource } from './byte-source.js';
import { type ModelProto, type TensorProto, TensorProto_DataLocation } from './schema/onnx_pb.js';
import type { TensorContent } from './tensor.js';
import { visitTensors } from './tensor-fields.js';

/** Opens the file at a location, which is relative to the model's folder and already checked. */
export type ExternalFiles = (location: string) => Promise<ByteSource>;

/** The entries of TensorProto.external_data. */
export interface ExternalEntry {
  readonly location: string;
  /** Bytes from the start of the file; 0 when the model does not say. */
  readonly offset: number;
  /** Undefined when the model does not say: the tensor's size, or the rest of the file. */
  readonly length: number | undefined;
  /** SHA-1 of the file. Not verified, as no runtime does. */
  readonly checksum: string | undefined;
}

/** The files that the tensors of a model refer to. Throws `invalid-model` for unsafe locations. */
export function externalLocations(proto: ModelProto): Set<string> {
  const locations = new Set<string>();
  visitTensors(proto, (tensor) => {
    if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL) return;
    locations.add(parseExternalData(tensor, { tensor: tensor.name }).location);
  });
  return locations;
}

/**
 * Opens every file that a model refers to, each once.
 * @example const externals = await openExternals(proto, nodeExternalFiles('model.onnx').files);
 */
export async function openExternals(
  proto: ModelProto,
  files: ExternalFiles,
): Promise<Map<string, ByteSource>> {
  const externals = new Map<string, ByteSource>();
  for (const location of externalLocations(proto)) externals.set(location, await files(location));
  return externals;
}

/** External files that are in memory or were picked in a browser, by their location. */
export function externalFilesFromMap(files: ReadonlyMap<string, Blob | Uint8Array>): ExternalFiles {
  const byName = new Map([...files].map(([name, file]) => [withoutDot(name), file]));
  return async (location) => {
    const file = byName.get(withoutDot(location));
    if (file === undefined) {
      const given = byName.size === 0 ? 'no files were' : `only ${[...byName.keys()]} was`;
      throw new PareError('invalid-model', `external data: the file is missing, ${given} given`, {
        file: location,
        hint: 'give this file together with the model',
      });
    }
    return file instanceof Uint8Array ? bytesSource(file, location) : blobSource(file, location);
  };
}

/** Reads external_data. Throws `invalid-model` for bad numbers and unsafe locations. */
export function parseExternalData(proto: TensorProto, where: ErrorPlace): ExternalEntry {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get('location');
  if (location === undefined) {
    throw new PareError('invalid-model', 'external data: the tensor states no location', where);
  }
  checkLocation(location, where);
  return {
    location,
    offset: byteNumber(entries, 'offset', where) ?? 0,
    length: byteNumber(entries, 'length', where),
    checksum: entries.get('checksum'),
  };
}

/** Throws `invalid-model` unless the location is a relative path that stays in its folder. */
export function checkLocation(location: string, where: ErrorPlace): void {
  const reason = unsafeReason(location);
  if (reason === undefined) return;
  throw new PareError(
    'invalid-model',
    `external data: location ${JSON.stringify(location)} ${reason}`,
    { ...where, hint: 'locations are relative to the folder of the model, with forward slashes' },
  );
}

/** Where the bytes of an external tensor are. `byteLength` is what its dims need. */
export function externalContent(
  proto: TensorProto,
  byteLength: number,
  externals: ReadonlyMap<string, ByteSource>,
  where: ErrorPlace,
): TensorContent {
  const { location, offset, length } = parseExternalData(proto, where);
  const source = externals.get(location);
  if (!source) {
    throw new PareError('invalid-model', 'external data: the file is missing', {
      ...where,
      file: location,
      hint: 'put the file beside the model',
    });
  }
  // ONNX Runtime takes a length of 0 for "not stated" too.
  if (length !== undefined && length !== 0 && length !== byteLength) {
    throw new PareError(
      'invalid-model',
      `external data: length is ${length}, the dims [${proto.dims}] need ${byteLength} bytes`,
      where,
    );
  }
  if (offset + byteLength > source.byteLength) {
    throw new PareError(
      'invalid-model',
      `external data: ${byteLength} bytes at offset ${offset} end behind the file's ${source.byteLength} bytes`,
      { ...where, file: location, hint: 'the file may be truncated, or belong to another model' },
    );
  }
  return { kind: 'range', source, offset, byteLength, location };
}

function byteNumber(
  entries: ReadonlyMap<string, string>,
  key: 'offset' | 'length',
  where: ErrorPlace,
): number | undefined {
  const text = entries.get(key);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new PareError(
    'invalid-model',
    `external data: ${key} is ${JSON.stringify(text)}, not a number of bytes`,
    where,
  );
}

function unsafeReason(location: string): string | undefined {
  if (withoutDot(location) === '') return 'is empty';
  if (location.includes('\0')) return 'holds a NUL character';
  if (location.includes('\\')) return 'holds a backslash';
  if (location.startsWith('/')) return 'is an absolute path';
  if (/^[a-z]:/i.test(location)) return 'names a drive';
  if (location.split('/').includes('..')) return 'leaves the folder of the model';
  return undefined;
}

function withoutDot(location: string): string {
  return location.replace(/^(\.\/+)+/, '').replace(/^\.$/, '');
}
