/**
 * MACs of matrix products and Einsum: elements of the output times the length of the axis that is
 * summed over. Quantized and fused forms only differ in where their operands stand.
 */
import type { Node } from '../graph/node.js';
import { elementCount } from '../onnx/data-type.js';
import type { NodeShapes, OperatorCost } from './cost.js';

/** Length of the summed axis of A; undefined when it is not known. */
type SummedLength = (node: Node, a: readonly number[]) => number | undefined;

const lastAxis: SummedLength = (_node, a) => a.at(-1);
const gemmAxis: SummedLength = (node, a) => (node.int('transA', 0) === 1 ? a[0] : a[1]);
/** transBatchA moves the first axis behind the batch axes, so with transA the sum is over it. */
const fusedAxis: SummedLength = (node, a) => {
  if (node.int('transA', 0) === 0 || a.length < 2) return a.at(-1);
  return node.int('transBatchA', 0) === 1 ? a[0] : a.at(-2);
};
const attributeK: SummedLength = (node) => node.int('K');

function contraction(length: SummedLength): OperatorCost {
  return {
    macs(node, shapes) {
      const output = shapes.output();
      const a = shapes.input(0);
      const summed = a && length(node, a);
      return output && summed !== undefined ? elementCount(output) * summed : undefined;
    },
    traffic: 'all',
  };
}

const matMul = contraction(lastAxis);
const gemm = contraction(gemmAxis);
const packed = contraction(attributeK);

export const contractionCosts: Readonly<Record<string, OperatorCost>> = Object.freeze({
  MatMul: matMul,
  MatMulInteger: matMul,
  QLinearMatMul: matMul,
  Gemm: gemm,
  Einsum: { macs: einsumMacs, traffic: 'all' },
  'com.microsoft:FusedMatMul': contraction(fusedAxis),
  'com.microsoft:FusedMatMulActivation': contraction(fusedAxis),
  'com.microsoft:TransposeMatMul': contraction(fusedAxis),
  'com.microsoft:FusedGemm': gemm,
  'com.microsoft:GemmFloat8': gemm,
  'com.microsoft:GemmFastGelu': matMul,
  'com.microsoft:QGemm': gemm,
  'com.microsoft:MatMulInteger16': matMul,
  'com.microsoft:MatMulIntegerToFloat': matMul,
  'com.microsoft:DynamicQuantizeMatMul': matMul,
  'com.microsoft:MatMulNBits': packed,
  'com.microsoft:MatMulBnb4': packed,
  'com.microsoft:MatMulFpQ4': matMul,
});

type IndexSizes = ReadonlyMap<string, number>;

/**
 * Operands are contracted from left to right, as the runtime does: a step costs the product of
 * the sizes of all indices of its two operands when it sums over one of them, and nothing when it
 * is only an element-wise or outer product. An index is summed in the last step that has it.
 */
function einsumMacs(node: Node, shapes: NodeShapes): number | undefined {
  const operands = node.inputs.map((_, at) => shapes.input(at));
  const [left = '', right] = node.string('equation').replaceAll(' ', '').split('->');
  const terms = left.split(',');
  const sizes = new Map<string, number>();
  const indices: string[][] = [];
  for (const [at, term] of terms.entries()) {
    const dims = operands[at];
    if (!dims) return undefined;
    const names = indicesOf(term, dims.length);
    // Broadcast dims of '...' may be 1 in one operand.
    names.forEach((name, axis) => {
      sizes.set(name, Math.max(sizes.get(name) ?? 0, dims[axis] ?? 1));
    });
    indices.push(names);
  }
  const kept = new Set(outputIndices(right, indices, sizes));
  let macs = 0;
  let current = new Set(indices[0]);
  for (let at = 1; at < indices.length; at++) {
    const all = new Set([...current, ...indices[at]!]);
    const needed = new Set([...kept, ...indices.slice(at + 1).flat()]);
    const rest = new Set([...all].filter((name) => needed.has(name)));
    if (rest.size < all.size) macs += sizeOf(all, sizes);
    current = rest;
  }
  return macs;
}

/** One name per axis: the letters, and '...0', '...1' counted from the right for an ellipsis. */
function indicesOf(term: string, rank: number): string[] {
  const [before = '', after] = term.split('...');
  if (after === undefined) return [...before];
  const hidden = Math.max(0, rank - before.length - after.length);
  const names = Array.from({ length: hidden }, (_, axis) => `...${hidden - 1 - axis}`);
  return [...before, ...names, ...after];
}

/** Without '->' the output has the ellipsis and the letters that occur exactly once. */
function outputIndices(
  right: string | undefined,
  indices: readonly string[][],
  sizes: IndexSizes,
): string[] {
  const ellipsis = [...sizes.keys()].filter((name) => name.startsWith('...'));
  if (right !== undefined)
    return [...right.replace('...', ''), ...(right.includes('...') ? ellipsis : [])];
  const flat = indices.flat();
  const once = flat.filter((name) => flat.indexOf(name) === flat.lastIndexOf(name));
  return [...once, ...ellipsis];
}

function sizeOf(names: Iterable<string>, sizes: IndexSizes): number {
  return elementCount([...names].map((name) => sizes.get(name) ?? 1));
}
