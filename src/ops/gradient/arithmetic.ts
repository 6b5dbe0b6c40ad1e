/**
 * Gradients of element-wise operators of several inputs with broadcasting: the gradient of the
 * output times the partial derivative, summed over what broadcasting repeated.
 * Ties of Min and Max share the gradient in equal parts.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import {
  type GradientEmitter,
  type GradientTable,
  NoGradient,
  type OperatorGradient,
  rule,
} from './rule.js';

/** The gradient of an input before it is summed to the input's shape. */
type Partial = (g: GradientEmitter, node: Node) => Value;

function broadcast(...partials: readonly (Partial | undefined)[]): OperatorGradient {
  return rule((g, node) =>
    partials.map(
      (partial, index) =>
        partial && (() => g.sumTo(partial(g, node), node.output(), node.input(index))),
    ),
  );
}

/** Every input has the same partial derivative. */
function variadic(partial: (g: GradientEmitter, node: Node, index: number) => Value) {
  return rule((g, node) =>
    node.inputs.map(
      (input, index) => input && (() => g.sumTo(partial(g, node, index), node.output(), input)),
    ),
  );
}

const pass: Partial = (g) => g.grad();

/** Inputs that equal the output share the gradient. */
const extremum = variadic((g, node, index) => {
  const isOutput = (at: number) => g.cast(g.op('Equal', [g.input(at), g.output()]));
  const count = g.sum(node.inputs.flatMap((input, at) => (input ? [isOutput(at)] : [])));
  return g.div(g.mul(g.grad(), isOutput(index)), count);
});

/** x^p: p x^(p-1); to the exponent y ln x, and 0 where x is 0, where the limit is 0 for p > 0. */
const power = broadcast(
  (g) => {
    const [x, p] = [g.input(0), floatExponent(g)];
    return g.mul(g.grad(), g.mul(p, g.op('Pow', [x, g.sub(p, 1)])));
  },
  (g) => {
    const x = g.input(0);
    const isPositive = g.op('Greater', [x, 0]);
    const log = g.op('Log', [g.where(isPositive, x, 1)]);
    return g.mul(g.grad(), g.mul(g.output(), log));
  },
);

/** The exponent may be an integer while x is a float. */
function floatExponent(g: GradientEmitter): Value {
  return g.cast(g.input(1));
}

/** x - y trunc(x / y) with fmod; the sign does not matter for the slope. */
const remainder = broadcast(pass, (g, node) => {
  const isTruncating = node.int('fmod', 0) === 1;
  if (!isTruncating) throw new NoGradient('Mod of floats is only defined with fmod = 1');
  const quotient = g.div(g.sub(g.input(0), g.output()), g.input(1));
  return g.neg(g.mul(g.grad(), quotient));
});

const isNegative = (g: GradientEmitter) => g.op('Less', [g.input(0), 0]);

/** Gradients of the bounds: what was cut off by them. */
const clip = rule((g, node) => {
  const [low, high] = [node.inputs[1], node.inputs[2]];
  const x = () => g.input(0);
  // Where the bounds cross, the upper one is the output.
  const below = () => {
    const isBelow = g.op('Less', [x(), g.input(1)]);
    return high ? g.op('And', [isBelow, g.op('LessOrEqual', [g.input(1), g.input(2)])]) : isBelow;
  };
  const above = () => {
    const raised = low ? g.op('Max', [x(), g.input(1)]) : x();
    return g.op('Greater', [raised, g.input(2)]);
  };
  const total = (condition: Value) =>
    g.reduce('ReduceSum', g.where(condition, g.grad(), 0), undefined, false);
  return [
    () => {
      const cut = [...(low ? [below()] : []), ...(high ? [above()] : [])];
      if (cut.length === 0) return g.grad();
      return g.where(
        cut.reduce((a, b) => g.op('Or', [a, b])),
        0,
        g.grad(),
      );
    },
    low && (() => g.reshapeLike(total(below()), low)),
    high && (() => g.reshapeLike(total(above()), high)),
  ];
});

export const arithmeticGradients: GradientTable = Object.freeze({
  Add: broadcast(pass, pass),
  Sub: broadcast(pass, (g) => g.neg(g.grad())),
  Mul: broadcast(
    (g) => g.mul(g.grad(), g.input(1)),
    (g) => g.mul(g.grad(), g.input(0)),
  ),
  Div: broadcast(
    (g) => g.div(g.grad(), g.input(1)),
    (g) => g.neg(g.div(g.mul(g.grad(), g.output()), g.input(1))),
  ),
  Pow: power,
  Mod: remainder,
  PRelu: broadcast(
    (g) => g.where(isNegative(g), g.mul(g.grad(), g.input(1)), g.grad()),
    (g) => g.where(isNegative(g), g.mul(g.grad(), g.input(0)), 0),
  ),
  Where: broadcast(
    undefined,
    (g, node) => g.where(node.input(0), g.grad(), 0),
    (g, node) => g.where(node.input(0), 0, g.grad()),
  ),
  Sum: variadic((g) => g.grad()),
  Mean: variadic((g, node) => g.div(g.grad(), node.inputs.length)),
  Max: extremum,
  Min: extremum,
  Clip: clip,
});
