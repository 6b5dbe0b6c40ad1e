/**
 * Tensors without some of their slices, or with them set to zero, whatever the element type.
 * Tensors are immutable: both make new ones.
 */
import { PareError } from '../errors.js';
import { dataTypes } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';
import type { AxisMasks } from './cut-masks.js';

/** The elements that all masks keep. */
export async function keepSlices(tensor: Tensor, masks: AxisMasks): Promise<Tensor> {
  let { bytes, unit } = await wholeElements(tensor);
  let dims = [...tensor.dims];
  masks.forEach((mask, axis) => {
    if (!mask) return;
    const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1) * unit;
    const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
    const kept = indicesOf(mask, 1);
    const out = new Uint8Array(outer * kept.length * inner);
    let to = 0;
    for (let o = 0; o < outer; o++) {
      for (const i of kept) {
        const from = (o * mask.length + i) * inner;
        copy(bytes, from, out, to, inner);
        to += inner;
      }
    }
    bytes = out;
    dims = dims.with(axis, kept.length);
  });
  return toTensor(tensor, dims, bytes);
}

/** Zero where any mask says gone. */
export async function zeroSlices(tensor: Tensor, masks: AxisMasks): Promise<Tensor> {
  const { bytes: before, unit } = await wholeElements(tensor);
  const bytes = new Uint8Array(before);
  const { dims } = tensor;
  masks.forEach((mask, axis) => {
    if (!mask) return;
    const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1) * unit;
    const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
    const gone = indicesOf(mask, 0);
    for (let o = 0; o < outer; o++) {
      for (const i of gone) {
        const from = (o * mask.length + i) * inner;
        bytes.fill(0, from, from + inner);
      }
    }
  });
  return toTensor(tensor, dims, bytes);
}

/** Short runs are faster copied in a loop than as views (measured: 4 bytes, 20 M of them: 0.1 s). */
function copy(from: Uint8Array, at: number, to: Uint8Array, start: number, length: number): void {
  if (length > 32) to.set(from.subarray(at, at + length), start);
  else for (let b = 0; b < length; b++) to[start + b] = from[at + b]!;
}

function indicesOf(mask: Uint8Array, wanted: number): number[] {
  const found: number[] = [];
  mask.forEach((each, i) => {
    if (each === wanted) found.push(i);
  });
  return found;
}

/** Bytes with a whole number of them per element: packed types are unpacked. */
async function wholeElements(tensor: Tensor): Promise<{ bytes: Uint8Array; unit: number }> {
  const { bits } = dataTypes[tensor.dataType];
  if (bits >= 8) return { bytes: await tensor.bytes(), unit: bits / 8 };
  if (bits === 0) throw new PareError('unsupported', `cut: ${tensor.dataType} cannot be sliced`);
  const array = await tensor.array();
  return { bytes: new Uint8Array(array.buffer, array.byteOffset, array.byteLength), unit: 1 };
}

function toTensor(like: Tensor, dims: readonly number[], bytes: Uint8Array): Tensor {
  const { bits, kind } = dataTypes[like.dataType];
  if (bits >= 8) return Tensor.raw(like.dataType, dims, bytes);
  const values =
    kind === 'signed' ? new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
  return Tensor.of(like.dataType, dims, values);
}
