/**
 * Gradients of operators that pick or place elements by index. Picked elements are added back to
 * their places, since an index may be there twice. Without scatter, a Gather is undone by a product
 * with one-hot rows; the others have no such form and scatter all the same.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { type GradientEmitter, type GradientTable, NoGradient, rule } from './rule.js';
import { positions, scatterToPositions } from './slice.js';

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}

/** The gathered axis comes first, in x and in the gradient, where it is the axes of the indices. */
const gather = rule((g, node) => [
  () => {
    const [x, indices] = [node.input(0), node.input(1)];
    const rank = g.rankOf(x);
    const axis = (node.int('axis', 0) + rank) % rank;
    const indexRank = g.rankOf(indices);
    const behind = rank - 1 - axis;
    const front = range(axis, axis + indexRank);
    const moved = g.transpose(g.grad(), [
      ...front,
      ...range(0, axis),
      ...range(axis + indexRank, axis + indexRank + behind),
    ]);
    const perm = [axis, ...range(0, axis), ...range(axis + 1, rank)];
    const dims = perm.map((at) => g.dim(x, at));
    const sum = g.scatter
      ? g.op(
          'ScatterND',
          [g.fillShape(g.list(dims)), g.unsqueeze(g.cast(indices, 'int64'), [-1]), moved],
          {
            reduction: 'add',
          },
        )
      : oneHotProduct(g, node, moved, dims);
    return g.transpose(
      sum,
      perm.map((_, at) => perm.indexOf(at)),
    );
  },
]);

function oneHotProduct(
  g: GradientEmitter,
  node: Node,
  moved: Value,
  dims: readonly (number | Value)[],
): Value {
  const flat = g.reshape(g.cast(node.input(1), 'int64'), [-1]);
  const depth = dims[0]!;
  const size = typeof depth === 'number' ? g.ints(depth) : depth;
  const rows = oneHotOf(g, flat, size, -1);
  // One row per index; what is behind is flat.
  const count = g.op('Shape', [flat]);
  const table = g.reshape(moved, [count, -1]);
  return g.reshape(g.op('Gemm', [rows, table], { transA: 1 }), dims);
}

/** Zeros and ones in the type of the gradients; the runtime makes them in float, not in double. */
function oneHotOf(g: GradientEmitter, indices: Value, depth: Value, axis: number): Value {
  const values = g.constant('float', [2], [0, 1]);
  const mask = g.op('OneHot', [indices, depth, values], { axis });
  return g.type === 'float' ? mask : g.cast(mask);
}

const gatherElements = rule((g, node) => [
  () =>
    g.op('ScatterElements', [g.fill(node.input(0)), node.input(1), g.grad()], {
      axis: node.int('axis', 0),
      reduction: 'add',
    }),
]);

const gatherND = rule((g, node) => [
  () => {
    const [x, indices] = [node.input(0), node.input(1)];
    const batch = node.int('batch_dims', 0);
    if (batch === 0) {
      return g.op('ScatterND', [g.fill(x), indices, g.grad()], { reduction: 'add' });
    }
    const taken = g.op('GatherND', [positions(g, x), indices], { batch_dims: batch });
    return scatterToPositions(g, x, taken, g.grad());
  },
]);

/** Where updates replace or join the data. `take` picks the places of the updates. */
function scatter(
  place: (g: GradientEmitter, node: Node, data: Value, updates: Value) => Value,
  take: (g: GradientEmitter, node: Node, data: Value) => Value,
) {
  return rule((g, node) => {
    const reduction = node.string('reduction', 'none');
    if (reduction !== 'none' && reduction !== 'add') {
      throw new NoGradient(`reduction "${reduction}"`);
    }
    const updates = node.input(2);
    return [
      () => (reduction === 'add' ? g.grad() : place(g, node, g.grad(), g.fill(updates))),
      undefined,
      () => take(g, node, g.grad()),
    ];
  });
}

const scatterElements = scatter(
  (g, node, data, updates) =>
    g.op('ScatterElements', [data, node.input(1), updates], { axis: node.int('axis', 0) }),
  (g, node, data) => g.op('GatherElements', [data, node.input(1)], { axis: node.int('axis', 0) }),
);

const scatterND = scatter(
  (g, node, data, updates) => g.op('ScatterND', [data, node.input(1), updates]),
  (g, node, data) => g.op('GatherND', [data, node.input(1)]),
);

/** off + (on - off) · mask, where the mask is the same with 0 and 1. */
const oneHot = rule((g, node) => [
  undefined,
  undefined,
  () => {
    const mask = oneHotOf(g, node.input(0), node.input(1), node.int('axis', -1));
    const total = (value: Value) => g.reshape(g.reduce('ReduceSum', value, undefined, false), [1]);
    const on = total(g.mul(g.grad(), mask));
    return g.concat([g.sub(total(g.grad()), on), on], 0);
  },
]);

/** start + i · delta; where it ends decides only how many there are. */
const arithmeticSequence = rule((g, node) => [
  () => g.reshapeLike(g.reduce('ReduceSum', g.grad(), undefined, false), node.input(0)),
  undefined,
  () => {
    const count = g.op('Size', [node.output()]);
    const steps = g.op('Range', [g.scalar(0, 'int64'), count, g.scalar(1, 'int64')]);
    const sum = g.reduce('ReduceSum', g.mul(g.grad(), g.cast(steps)), undefined, false);
    return g.reshapeLike(sum, node.input(2));
  },
]);

/** Kept rows go back to where they were. */
const compress = rule((g, node) => [
  () => {
    const x = node.input(0);
    const attributes = node.has('axis') ? { axis: node.int('axis') } : {};
    const taken = g.op('Compress', [positions(g, x), node.input(1)], attributes);
    return scatterToPositions(g, x, taken, g.grad());
  },
]);

export const gatherGradients: GradientTable = Object.freeze({
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  ScatterND: scatterND,
  Compress: compress,
  OneHot: oneHot,
  Range: arithmeticSequence,
});
