/**
 * NumPy's array file: reads versions 1 to 3 row by row, writes version 1. Numbers and booleans
 * only: pickled objects and text are refused.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import type { ByteSource } from '../onnx/byte-source.js';
import { type DataType, dataTypes, elementCount, type TypedArray } from '../onnx/data-type.js';
import { type ArrayReader, createArrayReader } from './array-reader.js';

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY
/** NumPy itself refuses longer headers of its own accord above 10,000 characters. */
const maxHeaderBytes = 1 << 20;

const dataTypeOf: Readonly<Record<string, DataType>> = {
  b1: 'bool',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  f2: 'float16',
  f4: 'float',
  f8: 'double',
};
const descrOf = new Map(Object.entries(dataTypeOf).map(([descr, type]) => [type, descr]));

export function isNpy(start: Uint8Array): boolean {
  return magic.every((byte, i) => start[i] === byte);
}

/**
 * Reads the header; rows are read when they are asked for. float16 stays 16-bit patterns.
 * Throws `invalid-data` when it is no npy file, is cut short, or holds something else than numbers.
 */
export async function readNpy(source: ByteSource): Promise<ArrayReader> {
  const start = await source.slice(0, Math.min(12, source.byteLength));
  if (!isNpy(start) || start.length < 10) throw invalid(source, 'is not a npy file');
  const major = start[6]!;
  if (major < 1 || major > 3) throw invalid(source, `is a npy file of version ${major}`);
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const sizeBytes = major === 1 ? 2 : 4;
  if (start.length < 8 + sizeBytes) throw invalid(source, 'ends in its header');
  const headerBytes = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const offset = 8 + sizeBytes + headerBytes;
  if (headerBytes > maxHeaderBytes || offset > source.byteLength) {
    throw invalid(source, `ends in its header of ${headerBytes} bytes`);
  }
  const text = new TextDecoder().decode(await source.slice(8 + sizeBytes, offset));
  const { descr, fortranOrder, dims } = parseHeader(text, source);
  const dataType = dataTypeOf[descr.slice(1)];
  if (!dataType || !'<>|='.includes(descr[0]!)) throw unsupported(source, descr);
  return createArrayReader(source, {
    dataType,
    dims,
    offset,
    fortranOrder,
    bigEndian: descr[0] === '>',
  });
}

/** The header is a Python dict literal with three known keys. */
function parseHeader(text: string, source: ByteSource) {
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(text)?.[1];
  if (descr === undefined && /'descr'\s*:\s*\[/.test(text)) throw unsupported(source, 'a record');
  if (descr === undefined || order === undefined || shape === undefined) {
    throw invalid(source, `has a header that cannot be read: ${text.trim().slice(0, 80)}`);
  }
  const dims = (shape.match(/\d+/g) ?? []).map(Number);
  if (!Number.isSafeInteger(elementCount(dims) * 8)) throw invalid(source, `has shape (${shape})`);
  return { descr, fortranOrder: order === 'True', dims };
}

function unsupported(source: ByteSource, descr: string): PareError {
  return new PareError('invalid-data', `data: the npy file holds ${descr}, not plain numbers`, {
    file: source.name,
    hint: 'save integers, floats or booleans: np.save(path, array.astype(np.float32))',
  });
}

function invalid(source: ByteSource, what: string): PareError {
  return new PareError('invalid-data', `data: the file ${what}`, { file: source.name });
}

/**
 * The bytes of a npy file, little-endian, C order. Throws `unsupported` for types that NumPy has
 * not (bfloat16, float8, int4, strings).
 *
 * @example
 * encodeNpy({ dataType: 'float', dims: [2, 3], data: new Float32Array(6) });
 */
export function encodeNpy(tensor: HostTensor): Uint8Array {
  const descr = descrOf.get(tensor.dataType);
  const data = tensor.data as TypedArray;
  if (descr === undefined) {
    throw new PareError('unsupported', `data: NumPy has no type for ${tensor.dataType}`, {
      hint: 'convert to float or to an integer type first',
    });
  }
  const count = elementCount(tensor.dims);
  if (data.length !== count) {
    throw new PareError(
      'usage',
      `data: ${data.length} elements do not fill an array of [${tensor.dims}], which has ${count}`,
    );
  }
  const order = dataTypes[tensor.dataType].bits === 8 ? '|' : '<';
  const shape = tensor.dims.length === 1 ? `(${tensor.dims[0]},)` : `(${tensor.dims.join(', ')})`;
  const dict = `{'descr': '${order}${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  // The data starts at a multiple of 64, so that it can be mapped into memory.
  const total = Math.ceil((10 + dict.length + 1) / 64) * 64;
  const out = new Uint8Array(total + data.byteLength);
  out.set([...magic, 1, 0, (total - 10) & 255, (total - 10) >> 8]);
  out.set(new TextEncoder().encode(`${dict.padEnd(total - 11)}\n`), 10);
  out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), total);
  return out;
}
