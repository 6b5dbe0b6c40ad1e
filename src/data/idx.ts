/**
 * IDX, the array format of MNIST: a four-byte magic, big-endian sizes, elements. Knows which
 * label file belongs to which image file by MNIST's naming; gzip is undone before.
 * Format: http://yann.lecun.com/exdb/mnist (section "File formats")
 */
import { PareError } from '../errors.js';
import type { ByteSource } from '../onnx/byte-source.js';
import { type DataType, elementCount } from '../onnx/data-type.js';
import { type ArrayReader, createArrayReader } from './array-reader.js';

const dataTypeOf: Readonly<Record<number, DataType>> = {
  8: 'uint8',
  9: 'int8',
  11: 'int16',
  12: 'int32',
  13: 'float',
  14: 'double',
};

/** True when the first four bytes are those of an IDX file with at least one axis. */
export function isIdx(start: Uint8Array): boolean {
  return (
    start[0] === 0 && start[1] === 0 && start[2]! in dataTypeOf && start[3]! > 0 && start[3]! < 9
  );
}

/** Throws `invalid-data` when the magic is not IDX's or the file is shorter than its sizes say. */
export async function readIdx(source: ByteSource): Promise<ArrayReader> {
  const start = await source.slice(0, Math.min(4, source.byteLength));
  if (start.length < 4 || !isIdx(start)) {
    const hex = Array.from(start, (b) => b.toString(16).padStart(2, '0')).join(' ');
    throw new PareError(
      'invalid-data',
      `data: the file starts with ${hex || 'nothing'}; IDX starts with 00 00, a type (08, 09, 0b to 0e) and the number of axes`,
      { file: source.name },
    );
  }
  const rank = start[3]!;
  const offset = 4 + 4 * rank;
  if (offset > source.byteLength) {
    throw new PareError('invalid-data', 'data: the IDX file ends in its header', {
      file: source.name,
    });
  }
  const sizes = await source.slice(4, offset);
  const view = new DataView(sizes.buffer, sizes.byteOffset, sizes.byteLength);
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 * i));
  const dataType = dataTypeOf[start[2]!]!;
  if (!Number.isSafeInteger(elementCount(dims) * 8)) {
    throw new PareError('invalid-data', `data: the IDX file says [${dims}]`, { file: source.name });
  }
  return createArrayReader(source, { dataType, dims, offset, bigEndian: true });
}

/**
 * The name of the labels that belong to this file of images, in MNIST's naming, or undefined.
 *
 * @example idxLabelsName('t10k-images-idx3-ubyte.gz') // 't10k-labels-idx1-ubyte.gz'
 */
export function idxLabelsName(images: string): string | undefined {
  const labels = images
    .replace(/images([-._])idx\d/i, 'labels$1idx1')
    .replace(/images(?=\.|$)/i, 'labels');
  return labels === images ? undefined : labels;
}
