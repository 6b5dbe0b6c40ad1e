/**
 * Muon (Jordan 2024, kellerjordan.github.io/posts/muon): momentum whose matrix is made orthogonal,
 * so that a step is as long in all directions of the weight, those of small gradients too. A kernel
 * [M, C, ...] is a matrix of M rows. Five rounds of a Newton-Schulz iteration of fifth order bring
 * all singular values to about 1, between 0.7 and 1.2, whatever they were.
 *
 * The step has the root mean square that steps of Adam have, 0.2 of the rate (Liu et al. 2025,
 * arXiv:2502.16982, section 2.2), so a rate for Adam fits, and `relative` means the same. Biases,
 * norms, depthwise kernels, whose channels have nothing to do with each other, and vocabularies,
 * where the products would cost more than the rest of the step, go by AdamW.
 */
import { floatAttribute } from '../../graph/attribute.js';
import type { Emitter } from '../../graph/emitter.js';
import type { Value } from '../../graph/value.js';
import { elementCount } from '../../onnx/data-type.js';
import { adamw } from './adam.js';
import { type Optimizer, stepAlong } from './optimizer.js';

/** Of x -> a x + b x^3 + c x^5, as steep at 0 as five rounds allow (Jordan 2024). */
const [a, b, c] = [3.4445, -4.775, 2.0315];
const rounds = 5;
/** Rows and columns above which a matrix counts as a vocabulary. */
const longestSide = 16_384;

export const muon: Optimizer = Object.freeze({
  name: 'muon',
  slots(options, { dims, isSparse }) {
    if (!isMatrix(dims)) return adamw.slots(options, { dims, isSparse });
    // Of no use for the step: it tells what the loss misses least.
    return isSparse ? ['momentum', 'square'] : ['momentum'];
  },
  meanSquare: 'square',
  mixes: isMatrix,
  update(request) {
    const { emitter: e, weight, gradient, state, learningRate, weightDecay, options } = request;
    const { dims, keep } = request;
    if (!dims || !isMatrix(dims)) return adamw.update(request);
    const { momentum, nesterov, beta2, relative } = options;
    const kept = e.add(e.mul(state.momentum!, momentum), gradient);
    const direction = nesterov ? e.add(gradient, e.mul(kept, momentum)) : kept;
    const [rows, columns] = sidesOf(dims);
    const matrix = orthogonal(e, e.reshape(direction, [rows, columns]), rows > columns);
    const turned = e.reshapeLike(matrix, gradient);
    const length = 0.2 * Math.sqrt(Math.max(rows, columns));
    const magnitude = relative ? (request.magnitude as number) : 1;
    const along = keep ? e.mul(turned, keep) : turned;
    const way = stepAlong(request, along, [learningRate, length * magnitude]);
    const decay = weightDecay > 0 && stepAlong(request, weight, [learningRate, weightDecay]);
    const { square } = state;
    return {
      weight: e.sub(decay ? e.sub(weight, decay) : weight, way),
      state: {
        momentum: kept,
        ...(square && { square: e.add(e.mul(square, beta2), e.square(gradient)) }),
      },
    };
  },
} satisfies Optimizer);

function isMatrix(dims: readonly number[]): boolean {
  const [rows, columns] = sidesOf(dims);
  return dims.length > 1 && rows > 1 && dims[1]! > 1 && Math.max(rows, columns) <= longestSide;
}

function sidesOf(dims: readonly number[]): [rows: number, columns: number] {
  return [dims[0] ?? 1, elementCount(dims.slice(1))];
}

/** The nearest matrix with all singular values about 1; zero stays zero. */
function orthogonal(e: Emitter, matrix: Value, isTall: boolean): Value {
  const norm = e.op('Sqrt', [e.op('ReduceSumSquare', [matrix], { keepdims: 0 })]);
  // Products of rows with rows: the fewer the better.
  let x = e.div(isTall ? e.transpose(matrix, [1, 0]) : matrix, e.add(norm, 1e-12));
  for (let round = 0; round < rounds; round++) {
    const square = e.op('Gemm', [x, x], { transB: 1 });
    const inner = e.op('Gemm', [square, square, square], {
      alpha: floatAttribute(c),
      beta: floatAttribute(b),
    });
    x = e.op('Gemm', [inner, x, x], { beta: floatAttribute(a) });
  }
  return isTall ? e.transpose(x, [1, 0]) : x;
}
