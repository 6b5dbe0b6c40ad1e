/**
 * Gradients of reductions: the gradient of the output, spread over the axes that were reduced,
 * times the partial derivative. Ties of ReduceMax and ReduceMin share it in equal parts.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { type GradientEmitter, type GradientTable, type OperatorGradient, rule } from './rule.js';

interface Reduction {
  readonly x: Value;
  /** Output and its gradient with the reduced axes as 1, so that they broadcast against x. */
  readonly y: Value;
  readonly dy: Value;
  /** Reduces a value of x's shape over the same axes, which stay as 1. */
  readonly again: (opType: string, value: Value) => Value;
}

function reduction(write: (g: GradientEmitter, parts: Reduction, node: Node) => Value) {
  return rule((g, node) => [
    () => {
      const axes = node.inputs[1];
      const isNothing = node.int('noop_with_empty_axes', 0) === 1 && isEmpty(axes);
      const keep = (value: Value): Value => {
        if (node.int('keepdims', 1) === 1 || isNothing) return value;
        // Over all axes it is a scalar, which broadcasts as it is.
        return axes && !isEmpty(axes) ? g.op('Unsqueeze', [value, axes]) : value;
      };
      const attributes = {
        keepdims: 1,
        noop_with_empty_axes: node.int('noop_with_empty_axes', 0),
      };
      const parts = {
        x: g.input(),
        y: keep(g.output()),
        dy: keep(g.grad()),
        again: (opType: string, value: Value) => g.op(opType, [value, axes], attributes),
      };
      return write(g, parts, node);
    },
  ]);
}

/** Absent, or a list of no axes. Axes that only a run tells count as some. */
function isEmpty(axes: Value | undefined): boolean {
  return !axes || axes.dims?.[0] === 0;
}

const extremum: OperatorGradient = reduction((g, { x, y, dy, again }) => {
  const isExtreme = g.cast(g.op('Equal', [x, y]));
  return g.mul(isExtreme, g.div(dy, again('ReduceSum', isExtreme)));
});

/** Zeros need care: with one zero only its own factor has a gradient, with more none has. */
const product: OperatorGradient = reduction((g, { x, dy, again }) => {
  const isZero = g.op('Equal', [x, 0]);
  const others = g.where(isZero, 1, x);
  const zeros = again('ReduceSum', g.cast(isZero));
  const rest = again('ReduceProd', others);
  const none = g.where(g.op('Equal', [zeros, 0]), g.div(rest, others), 0);
  const one = g.where(g.op('Equal', [zeros, 1]), rest, 0);
  return g.mul(dy, g.where(isZero, one, none));
});

export const reductionGradients: GradientTable = Object.freeze({
  ReduceSum: reduction((g, { x, dy }) => g.expandLike(dy, x)),
  ReduceMean: reduction((g, { x, y, dy }, node) => {
    const [all, kept] = [g.size(x), g.size(node.output())];
    const share =
      typeof all === 'number' && typeof kept === 'number'
        ? g.mul(dy, kept / all)
        : g.div(g.mul(dy, kept), all);
    // One element may still have axes that the output has lost.
    const isSameShape = all === kept && node.input(0).dims?.length === y.dims?.length;
    return isSameShape && y === node.output() ? share : g.expandLike(share, x);
  }),
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceProd: product,
  ReduceL1: reduction((g, { x, dy }) => g.mul(dy, g.op('Sign', [x]))),
  // At 0 the norm has no gradient; 0 is a subgradient.
  ReduceL2: reduction((g, { x, y, dy }) =>
    g.mul(x, g.where(g.op('Equal', [y, 0]), 0, g.div(dy, y))),
  ),
  ReduceLogSum: reduction((g, { x, y, dy }) => g.expandLike(g.mul(dy, g.op('Exp', [g.neg(y)])), x)),
  ReduceLogSumExp: reduction((g, { x, y, dy }) => g.mul(dy, g.op('Exp', [g.sub(x, y)]))),
  ReduceSumSquare: reduction((g, { x, dy }) => g.mul(dy, g.mul(x, 2))),
  CumSum: rule((g, node) => [
    () =>
      g.op('CumSum', [g.grad(), node.input(1)], {
        exclusive: node.int('exclusive', 0),
        reverse: 1 - node.int('reverse', 0),
      }),
  ]),
  TopK: rule((g, node) => [
    () =>
      g.op('ScatterElements', [g.fill(node.input(0)), node.output(1), g.grad()], {
        axis: node.int('axis', -1),
        reduction: 'add',
      }),
  ]),
});
