/**
 * Gradients of matrix products: dA = dY·Bᵀ and dB = Aᵀ·dY, summed over broadcast batch dims.
 * A two-dimensional factor of a batched product is one large product over the flattened batch,
 * which is faster than a batch of products and their sum.
 */
import { floats } from '../../graph/emitter.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { expand, type GradientEmitter, type GradientTable, rule } from './rule.js';

/** The product of two matrices, either transposed: Gemm where both have two dims. */
function gemm(
  g: GradientEmitter,
  a: Value,
  b: Value,
  { transA = 0, transB = 0, alpha = 1 }: { transA?: number; transB?: number; alpha?: number },
): Value {
  return g.op('Gemm', [a, b], { transA, transB, ...floats({ alpha }) });
}

const matMul = rule((g, node) => {
  const [a, b] = [node.input(0), node.input(1)];
  const [rankA, rankB] = [g.rankOf(a), g.rankOf(b)];
  const isMatrix = rankB === 2 && rankA >= 2;
  // A vector on the left is a row, one on the right a column; the product lacks that axis.
  const row = () => (rankA === 1 ? g.unsqueeze(g.input(0), [0]) : g.input(0));
  const column = () => (rankB === 1 ? g.unsqueeze(g.input(1), [1]) : g.input(1));
  const dy = () => {
    const added = [...(rankA === 1 ? [-2] : []), ...(rankB === 1 ? [-1] : [])];
    return g.unsqueeze(g.grad(), added);
  };
  const [wide, high] = [Math.max(rankA, 2), Math.max(rankB, 2)];
  const rank = Math.max(wide, high);
  return [
    () => {
      if (rankA === 2 && rankB === 2) return gemm(g, g.grad(), g.input(1), { transB: 1 });
      const product = g.op('MatMul', [dy(), g.transposeLast(column(), high)]);
      return sumBatch(g, product, rank, a, rankA === 1 ? [-2] : [], node);
    },
    () => {
      if (isMatrix) {
        const flat = (value: Value) =>
          value.dims?.length === 2 ? value : g.reshape(value, [-1, g.dim(value, -1)]);
        const flatDy = rankA === 2 ? g.grad() : g.reshape(g.grad(), [-1, g.dim(node.output(), -1)]);
        return gemm(g, flatLike(g, a, flat), flatDy, { transA: 1 });
      }
      const product = g.op('MatMul', [g.transposeLast(row(), wide), dy()]);
      return sumBatch(g, product, rank, b, rankB === 1 ? [-1] : [], node);
    },
  ];
});

function flatLike(g: GradientEmitter, a: Value, flat: (value: Value) => Value): Value {
  const wide = g.input(0);
  if (wide === a) return flat(a);
  return a.dims?.length === 2 ? wide : g.reshape(wide, [-1, g.dim(a, -1)]);
}

/** Sums a product over the batch dims that the input does not have, and drops an added axis. */
function sumBatch(
  g: GradientEmitter,
  product: Value,
  rank: number,
  input: Value,
  added: readonly number[],
  node: Node,
): Value {
  const own = Math.max(g.rankOf(input) - 2, 0);
  const lead = rank - 2 - own;
  const axes = Array.from({ length: lead }, (_, axis) => axis);
  for (let axis = 0; axis < own; axis++) {
    const [mine, theirs] = [input.dims?.[axis], node.output().dims?.[lead + axis]];
    if (mine === 1 && theirs !== 1) axes.push(lead + axis);
    else if (typeof mine !== 'number' && (mine === undefined || mine !== theirs)) {
      return sumOpenBatch(g, product, input, lead);
    }
  }
  if (axes.length === 0) return g.squeeze(product, added);
  return g.reshapeLike(g.reduce('ReduceSum', product, axes), input);
}

/** Which batch dims were repeated only shows in a run. */
function sumOpenBatch(g: GradientEmitter, product: Value, input: Value, lead: number): Value {
  const ones = Array.from({ length: lead }, () => 1);
  const shape = lead > 0 ? g.concat([g.ints(...ones), g.shape(input)], 0) : g.shape(input);
  const differs = g.op('Not', [g.op('Equal', [shape, g.op('Shape', [product])])]);
  const axes = g.reshape(g.op('NonZero', [differs]), [-1]);
  const sum = g.op('ReduceSum', [product, axes], { keepdims: 1, noop_with_empty_axes: 1 });
  return g.reshapeLike(sum, input);
}

const gemmGradient = rule((g, node) => {
  const [transA, transB] = [node.int('transA', 0), node.int('transB', 0)];
  const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)];
  const c = node.inputs[2];
  return [
    () =>
      transA === 1
        ? gemm(g, g.input(1), g.grad(), { transA: transB, transB: 1, alpha })
        : gemm(g, g.grad(), g.input(1), { transB: 1 - transB, alpha }),
    () =>
      transB === 1
        ? gemm(g, g.grad(), g.input(0), { transA: 1, transB: transA, alpha })
        : gemm(g, g.input(0), g.grad(), { transA: 1 - transA, alpha }),
    c && (() => g.mul(g.sumTo(g.grad(), node.output(), c), beta)),
  ];
});

/** alpha · op(A) · op(B), where transBatch moves the first axis behind the batch axes. */
const fusedMatMul = expand((e, node) => {
  const factor = (index: number, side: 'A' | 'B'): Value => {
    const value = node.input(index);
    const rank = value.dims?.length ?? 0;
    if (rank < 2) return value;
    let order = Array.from({ length: rank }, (_, axis) => axis);
    if (node.int(`transBatch${side}`, 0) === 1) {
      order = [...order.slice(1, -1), 0, rank - 1];
    }
    if (node.int(`trans${side}`, 0) === 1) {
      order = [...order.slice(0, -2), order.at(-1)!, order.at(-2)!];
    }
    return e.transpose(value, order);
  };
  const product = e.op('MatMul', [factor(0, 'A'), factor(1, 'B')]);
  return [e.mul(product, node.float('alpha', 1))];
});

export const matrixGradients: GradientTable = Object.freeze({
  MatMul: matMul,
  Gemm: gemmGradient,
  'com.microsoft:FusedMatMul': fusedMatMul,
  'com.microsoft:TransposeMatMul': fusedMatMul,
});
