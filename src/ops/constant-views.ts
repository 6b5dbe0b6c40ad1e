/**
 * Operators that only present a constant in another way (type, order, shape). Exporters put them
 * between a weight and the node that uses it; looking through them finds the weight.
 */
import type { Node } from '../graph/node.js';
import { type DataType, dataTypeFromCode, dataTypes } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';

/** A constant as float32 numbers with dims, made when it is needed. */
export interface FloatConstant {
  readonly dims: readonly number[];
  /** The type that a node sees, after any Cast. */
  readonly dataType: DataType;
  /**
   * Axis i is axis perm[i] of the stored tensor; undefined where the view is more than another
   * order of the stored numbers (other dims, or rounded).
   */
  readonly perm: readonly number[] | undefined;
  read(): Promise<Float32Array>;
}

/** The view of `input` that the node's output is, or why that cannot be told. */
export type ConstantView = (
  node: Node,
  input: FloatConstant,
) => Promise<FloatConstant | { readonly reason: string }>;

/** By operator. A new one is one row here. */
export const constantViews: Readonly<Record<string, ConstantView>> = Object.freeze({
  Identity: async (_node, input) => input,
  Cast: async (node, input) => {
    const dataType = dataTypeFromCode(node.int('to'));
    if (!dataType) return { reason: 'its Cast has an unknown type' };
    if (dataTypes[dataType].kind !== 'float' || dataTypes[input.dataType].kind !== 'float') {
      return { reason: `its weight is cast from ${input.dataType} to ${dataType}` };
    }
    // Numbers are read as float32, so only a type with fewer bits changes them.
    if (dataTypes[dataType].bits >= Math.min(32, dataTypes[input.dataType].bits)) {
      const isHalfSwap = dataTypes[dataType].bits === 16 && dataType !== input.dataType;
      if (!isHalfSwap) return { ...input, dataType };
    }
    if (dataTypes[dataType].bits < 16) return { reason: `its weight is cast to ${dataType}` };
    return {
      ...input,
      dataType,
      perm: undefined,
      read: async () => Tensor.of(dataType, input.dims, await input.read()).floats(),
    };
  },
  Transpose: async (node, input) => {
    const perm = node.ints('perm', [...input.dims.keys()].reverse());
    return {
      ...input,
      dims: perm.map((axis) => input.dims[axis]!),
      perm: input.perm && perm.map((axis) => input.perm![axis]!),
      read: async () => transpose(await input.read(), input.dims, perm),
    };
  },
  Reshape: async (node, input) => {
    const shape = await constantNumbers(node, 1);
    if (!shape) return { reason: 'its Reshape has a computed shape' };
    return withDims(input, resolveShape(input.dims, shape, node.int('allowzero', 0) === 1));
  },
  Flatten: async (node, input) => {
    const rank = input.dims.length;
    const given = node.int('axis', 1);
    // The rank itself is allowed: everything goes to the first axis then.
    const axis = given < 0 ? given + rank : given;
    return withDims(input, [product(input.dims.slice(0, axis)), product(input.dims.slice(axis))]);
  },
  Squeeze: async (node, input) => {
    const axes = node.has('axes') ? node.ints('axes') : await constantNumbers(node, 1);
    if (!axes && node.inputs[1]) return { reason: 'its Squeeze has computed axes' };
    const dropped = axes?.map((axis) => (axis < 0 ? axis + input.dims.length : axis));
    const dims = input.dims.filter((dim, axis) => (dropped ? !dropped.includes(axis) : dim !== 1));
    return withDims(input, dims);
  },
  Unsqueeze: async (node, input) => {
    const axes = node.has('axes') ? node.ints('axes') : await constantNumbers(node, 1);
    if (!axes) return { reason: 'its Unsqueeze has computed axes' };
    const rank = input.dims.length + axes.length;
    const at = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
    const rest = [...input.dims];
    return withDims(
      input,
      Array.from({ length: rank }, (_, axis) => (at.has(axis) ? 1 : rest.shift()!)),
    );
  },
});

/** Moves elements so that axis i of the result is axis perm[i] of the input. */
export function transpose<
  Numbers extends Float32Array | Int8Array | Uint8Array | Int16Array | Uint16Array,
>(values: Numbers, dims: readonly number[], perm: readonly number[]): Numbers {
  const strides = dims.map((_, axis) => product(dims.slice(axis + 1)));
  const outDims = perm.map((axis) => dims[axis]!);
  const outStrides = perm.map((axis) => strides[axis]!);
  const out = new (values.constructor as new (length: number) => Numbers)(values.length);
  const index = new Array<number>(outDims.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = values[from]!;
    for (let axis = outDims.length - 1; axis >= 0; axis--) {
      from += outStrides[axis]!;
      if (++index[axis]! < outDims[axis]!) break;
      from -= outStrides[axis]! * outDims[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

async function constantNumbers(node: Node, index: number): Promise<number[] | undefined> {
  return node.constantInput(index)?.numbers();
}

function withDims(input: FloatConstant, dims: readonly number[]): FloatConstant {
  return { ...input, dims, perm: undefined };
}

function resolveShape(
  dims: readonly number[],
  shape: readonly number[],
  allowZero: boolean,
): number[] {
  const out = shape.map((dim, axis) => (dim === 0 && !allowZero ? (dims[axis] ?? 0) : dim));
  const unknown = out.indexOf(-1);
  if (unknown >= 0) out[unknown] = product(dims) / -product(out);
  return out;
}

function product(dims: readonly number[]): number {
  return dims.reduce((total, dim) => total * dim, 1);
}
