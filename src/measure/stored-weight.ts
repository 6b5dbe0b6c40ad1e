/**
 * The numbers that a node sees at an input when they are constant: of an initializer, behind the
 * nodes that turn it around, and behind those that make floats of stored integers. So a float
 * weight can be compared with its quantized form.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { dataTypes, elementCount } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';
import { constantViews, type FloatConstant } from '../ops/constant-views.js';

/** Undefined when the value is not constant, or of a form that is not known here. */
export async function storedWeight(value: Value): Promise<FloatConstant | undefined> {
  const tensor = tensorOf(value);
  if (tensor) return dataTypes[tensor.dataType].kind === 'float' ? asFloats(tensor) : undefined;
  const node = value.producer;
  if (!node) return undefined;
  const restored = Object.hasOwn(restorers, node.op) ? restorers[node.op] : undefined;
  if (restored) {
    const found = restored(node);
    if (found) return found;
  }
  const view = Object.hasOwn(constantViews, node.op) ? constantViews[node.op] : undefined;
  const input = node.inputs[0];
  const inner = view && input ? await storedWeight(input) : undefined;
  if (!inner) return undefined;
  const seen = await view!(node, inner);
  return 'reason' in seen ? undefined : seen;
}

function tensorOf(value: Value | undefined): Tensor | undefined {
  if (!value) return undefined;
  if (value.isConstant) return value.initializer;
  const { producer } = value;
  return producer?.inputs.length === 0 ? producer.tensorAttribute('value') : undefined;
}

function asFloats(tensor: Tensor): FloatConstant {
  const { dataType, dims } = tensor;
  return { dataType, dims, perm: [...dims.keys()], read: () => tensor.floats() };
}

/** Operators that make floats of stored integers. */
const restorers: Readonly<Record<string, (node: Node) => FloatConstant | undefined>> =
  Object.freeze({
    DequantizeLinear: dequantized,
    'com.microsoft:DequantizeLinear': dequantized,
    Mul: scaled,
  });

/** (x - zero point) * scale, per tensor, per channel or per block along an axis. */
function dequantized(node: Node): FloatConstant | undefined {
  const [x, scale, zero] = [0, 1, 2].map((at) => tensorOf(node.inputs[at]));
  if (!x || !scale || (node.inputs[2] && !zero)) return undefined;
  const given = node.int('axis', 1);
  const axis = given < 0 ? given + x.dims.length : given;
  const at = scaleIndex(x.dims, scale.dims, axis, node.int('block_size', 0));
  if (!at) return undefined;
  return restoredFrom(scale, x.dims, async () => {
    const [values, scales] = [await x.floats(), await scale.floats()];
    const zeros = zero ? await zero.floats() : undefined;
    return values.map((value, i) => {
      const s = at(i);
      return (value - (zeros?.[s] ?? 0)) * scales[s]!;
    });
  });
}

/** Mul(Cast(integers), scale), with the scale broadcast: the form that runtimes fold away. */
function scaled(node: Node): FloatConstant | undefined {
  for (const [from, by] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const cast = node.inputs[from]?.producer;
    const x = cast?.op === 'Cast' ? tensorOf(cast.inputs[0]) : undefined;
    const scale = tensorOf(node.inputs[by]);
    if (!x || !scale || dataTypes[x.dataType].kind === 'float') continue;
    const at = broadcastIndex(x.dims, scale.dims);
    if (!at) continue;
    return restoredFrom(scale, x.dims, async () => {
      const [values, scales] = [await x.floats(), await scale.floats()];
      return values.map((value, i) => value * scales[at(i)]!);
    });
  }
  return undefined;
}

function restoredFrom(
  { dataType }: Tensor,
  dims: readonly number[],
  read: () => Promise<Float32Array>,
): FloatConstant {
  return { dataType, dims, perm: undefined, read };
}

type IndexOf = (element: number) => number;

/** Which scale belongs to an element; undefined for dims that do not fit. */
function scaleIndex(
  dims: readonly number[],
  scales: readonly number[],
  axis: number,
  blockSize: number,
): IndexOf | undefined {
  if (elementCount(scales) === 1) return () => 0;
  const inner = elementCount(dims.slice(axis + 1));
  const size = dims[axis];
  if (size === undefined) return undefined;
  if (blockSize === 0) {
    if (scales.length !== 1 || scales[0] !== size) return undefined;
    return (i) => Math.floor(i / inner) % size;
  }
  const blocks = Math.ceil(size / blockSize);
  if (scales.length !== dims.length || scales[axis] !== blocks) return undefined;
  return (i) => {
    const along = Math.floor(i / inner) % size;
    const outer = Math.floor(i / (inner * size));
    return (outer * blocks + Math.floor(along / blockSize)) * inner + (i % inner);
  };
}

function broadcastIndex(dims: readonly number[], scales: readonly number[]): IndexOf | undefined {
  const padded = [
    ...new Array<number>(Math.max(0, dims.length - scales.length)).fill(1),
    ...scales,
  ];
  const fits = padded.length === dims.length && padded.every((d, k) => d === 1 || d === dims[k]);
  if (!fits) return undefined;
  return (i) => {
    let [rest, at, stride] = [i, 0, 1];
    for (let k = dims.length - 1; k >= 0; k--) {
      const index = rest % dims[k]!;
      rest = Math.floor(rest / dims[k]!);
      if (padded[k] !== 1) {
        at += index * stride;
        stride *= padded[k]!;
      }
    }
    return at;
  };
}
