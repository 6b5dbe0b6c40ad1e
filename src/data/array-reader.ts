/**
 * A numeric array in a file, read row by row along its first axis: what npy and IDX have in
 * common. Turns stored bytes into typed arrays of this machine; knows no file header.
 */
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import type { ByteSource } from '../onnx/byte-source.js';
import { type DataType, dataTypes, elementCount, type TypedArray } from '../onnx/data-type.js';

export interface ArrayReader {
  readonly dataType: DataType;
  /** The whole array's dims. */
  readonly dims: readonly number[];
  /** Row i of the first axis, dims without that axis. */
  row(index: number): Promise<HostTensor>;
  /** Everything at once. */
  all(): Promise<HostTensor>;
}

/** Where and how the elements lie in a file. */
export interface StoredArray {
  readonly dataType: DataType;
  readonly dims: readonly number[];
  /** Byte offset of the first element. */
  readonly offset: number;
  readonly bigEndian: boolean;
  /** First axis fastest, as Fortran stores; rows are then picked out of the whole. */
  readonly fortranOrder?: boolean;
}

/** Throws `invalid-data` when the file holds fewer bytes than the dims need. */
export function createArrayReader(source: ByteSource, stored: StoredArray): ArrayReader {
  const { dataType, dims, offset, bigEndian } = stored;
  const width = dataTypes[dataType].bits / 8;
  const needed = elementCount(dims) * width;
  if (!(needed <= source.byteLength - offset)) {
    throw new PareError(
      'invalid-data',
      `data: the array's header says [${dims}] of ${dataType}, ${needed} bytes, but ${source.byteLength - offset} follow: cut short?`,
      { file: source.name },
    );
  }
  const read = async (from: number, rowDims: readonly number[]): Promise<HostTensor> => {
    const bytes = elementCount(rowDims) * width;
    const slice = await source.slice(offset + from, offset + from + bytes);
    return { dataType, dims: rowDims, data: decodeElements(slice, dataType, bigEndian) };
  };
  const rowDims = dims.slice(1);
  const rowBytes = elementCount(rowDims) * width;
  if (stored.fortranOrder && dims.length > 1) {
    let whole: Promise<HostTensor> | undefined;
    const all = () => (whole ??= read(0, dims).then(toRowMajor));
    return {
      dataType,
      dims,
      all,
      row: async (i) => sliceRow(await all(), i),
    };
  }
  return { dataType, dims, row: (i) => read(i * rowBytes, rowDims), all: () => read(0, dims) };
}

/** A tensor in memory as a reader. */
export function tensorReader(tensor: HostTensor): ArrayReader {
  const { dataType, dims } = tensor;
  return { dataType, dims, row: async (i) => sliceRow(tensor, i), all: async () => tensor };
}

function sliceRow({ dataType, dims, data }: HostTensor, index: number): HostTensor {
  const rowDims = dims.slice(1);
  const length = elementCount(rowDims);
  return {
    dataType,
    dims: rowDims,
    data: data.slice(index * length, (index + 1) * length) as TypedArray,
  };
}

/** Stored bytes as a typed array of its own: aligned, in this machine's byte order. */
export function decodeElements(
  bytes: Uint8Array,
  dataType: DataType,
  bigEndian: boolean,
): TypedArray {
  const { bits, array } = dataTypes[dataType];
  const width = bits / 8;
  const copy = bytes.slice();
  if (bigEndian && width > 1) {
    for (let at = 0; at + width <= copy.length; at += width)
      copy.subarray(at, at + width).reverse();
  }
  return new array!(copy.buffer, 0, copy.length / width);
}

/** First axis fastest to last axis fastest. */
function toRowMajor({ dataType, dims, data }: HostTensor): HostTensor {
  const from = data as TypedArray;
  const out = new dataTypes[dataType].array!(from.length);
  const strides = dims.map((_, axis) => elementCount(dims.slice(0, axis)));
  const index = new Array<number>(dims.length).fill(0);
  for (let i = 0; i < out.length; i++) {
    let at = 0;
    for (let axis = 0; axis < dims.length; axis++) at += index[axis]! * strides[axis]!;
    out[i] = from[at]!;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < dims[axis]!) break;
      index[axis] = 0;
    }
  }
  return { dataType, dims, data: out };
}
