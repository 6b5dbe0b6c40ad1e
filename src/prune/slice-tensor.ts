/**
 * Tensors without some of their slices, or with them set to zero, whatever the element type.
 * Tensors are immutable: both make new ones. Elements are moved as whole words: a matrix that loses
 * columns has runs of single elements.
 */
import { PareError } from '../errors.js';
import { dataTypes, type TypedArray } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';
import type { AxisMasks } from './cut-masks.js';

/** The elements that all masks keep. */
export async function keepSlices(tensor: Tensor, masks: AxisMasks): Promise<Tensor> {
  let elements = await readElements(tensor);
  let dims = [...tensor.dims];
  masks.forEach((mask, axis) => {
    if (!mask) return;
    const inner = product(dims.slice(axis + 1));
    const outer = product(dims.slice(0, axis));
    const kept = runsOf(mask, 1);
    const left = kept.reduce((sum, { length }) => sum + length, 0);
    const out = new (elements.constructor as new (length: number) => Words)(outer * left * inner);
    let to = 0;
    for (let o = 0; o < outer; o++) {
      for (const { start, length } of kept) {
        const from = (o * mask.length + start) * inner;
        const count = length * inner;
        if (count > 16) out.set(elements.subarray(from, from + count) as never, to);
        else for (let i = 0; i < count; i++) out[to + i] = elements[from + i]!;
        to += count;
      }
    }
    elements = out;
    dims = dims.with(axis, left);
  });
  return toTensor(tensor, dims, elements);
}

/** What zero is: one number for all, or one per index of an axis. */
export interface ZeroPoint {
  readonly numbers: readonly number[];
  readonly axis: number;
}

/** Zero where any mask says gone; for quantized numbers that is their zero point. */
export async function zeroSlices(
  tensor: Tensor,
  masks: AxisMasks,
  zero: ZeroPoint = { numbers: [0], axis: 0 },
): Promise<Tensor> {
  const elements = (await readElements(tensor)).slice();
  const { numbers, axis: zeroAxis } = zero;
  const stride = product(tensor.dims.slice(zeroAxis + 1));
  const zeroAt = (at: number) => numbers[Math.floor(at / stride) % numbers.length]!;
  const { dims } = tensor;
  masks.forEach((mask, axis) => {
    if (!mask) return;
    const inner = product(dims.slice(axis + 1));
    const outer = product(dims.slice(0, axis));
    const gone = runsOf(mask, 0);
    for (let o = 0; o < outer; o++) {
      for (const { start, length } of gone) {
        const from = (o * mask.length + start) * inner;
        const end = from + length * inner;
        for (let i = from; i < end; i++) elements[i] = zeroAt(i);
      }
    }
  });
  return toTensor(tensor, dims, elements);
}

/** Numbers of elements, not their values, matter: 64-bit ones are doubles here, bit for bit. */
type Words = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** One entry per element; packed types are unpacked. */
async function readElements(tensor: Tensor): Promise<Words> {
  const { bits } = dataTypes[tensor.dataType];
  if (bits === 0 || bits > 64) {
    throw new PareError('unsupported', `cut: ${tensor.dataType} cannot be sliced`);
  }
  const array: TypedArray = await tensor.array();
  const { byteOffset, length } = array;
  const buffer = array.buffer as ArrayBuffer;
  const Type = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array };
  return new Type[array.BYTES_PER_ELEMENT as 1 | 2 | 4 | 8](buffer, byteOffset, length);
}

function toTensor(like: Tensor, dims: readonly number[], words: Words): Tensor {
  const { bits, kind } = dataTypes[like.dataType];
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  if (bits >= 8) return Tensor.raw(like.dataType, dims, bytes);
  const isSigned = kind === 'signed';
  return Tensor.of(like.dataType, dims, isSigned ? Int8Array.from(bytes) : bytes);
}

interface Run {
  readonly start: number;
  readonly length: number;
}

/** Stretches of a mask that have this entry. */
function runsOf(mask: Uint8Array, wanted: number): Run[] {
  const runs: Run[] = [];
  for (let i = 0; i < mask.length; i++) {
    if (mask[i] !== wanted) continue;
    const start = i;
    while (i < mask.length && mask[i] === wanted) i++;
    runs.push({ start, length: i - start });
  }
  return runs;
}

function product(dims: readonly number[]): number {
  return dims.reduce((a, b) => a * b, 1);
}
