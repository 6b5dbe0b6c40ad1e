/**
 * Gradients of functions of one variable, applied to each element: the gradient of the output
 * times the derivative. At a kink the derivative from the left or from below is taken, as PyTorch
 * does (Relu at 0: 0).
 */
import { floatAttribute } from '../../graph/attribute.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { type GradientEmitter, type GradientTable, type OperatorGradient, rule } from './rule.js';

/** The derivative at x, of which y is the output. */
type Derivative = (g: GradientEmitter, x: Value, y: Value, node: Node) => Value;

function derivative(write: Derivative): OperatorGradient {
  return rule((g, node) => [() => g.mul(g.grad(), write(g, g.input(), g.output(), node))]);
}

/** The gradient passes where the condition holds, times a factor, and elsewhere times another. */
function gate(condition: Derivative, inside: Factor = 1, outside: Factor = 0): OperatorGradient {
  return rule((g, node) => [
    () => {
      const factor = (part: Factor) => (typeof part === 'number' ? part : part(node));
      const dy = g.grad();
      const [high, low] = [factor(inside), factor(outside)];
      const isInside = condition(g, g.input(), g.output(), node);
      // A product with 0 and 1 takes three quarters of the time of Where with a scalar.
      if (low === 0) return g.mul(g.mul(dy, high), g.cast(isInside));
      return g.where(isInside, g.mul(dy, high), g.mul(dy, low));
    },
  ]);
}
type Factor = number | ((node: Node) => number);

const positive: Derivative = (g, x) => g.op('Greater', [x, 0]);

/**
 * 1 where a value that is not below 0 is above it, else 0. As floats in one kernel instead of a
 * comparison and a Cast, which runs on one thread: 17 million numbers of ResNet-20
 */
function isAbove0(g: GradientEmitter, value: Value): Value {
  // The least normal number times this is 1.2, and the result ends at 1.
  if (g.type === 'float')
    return g.op('HardSigmoid', [value], { alpha: floatAttribute(1e38), beta: floatAttribute(0) });
  return g.cast(g.op('Greater', [value, 0]));
}

/** Between two bounds, without them. */
function between(g: GradientEmitter, x: Value, low: number, high: number): Value {
  return g.op('And', [g.op('Greater', [x, low]), g.op('Less', [x, high])]);
}

const oneMinus = (g: GradientEmitter, x: Value) => g.sub(1, x);

/** d/dx of x * sigmoid(a x). */
function swish(alpha: (node: Node) => number): OperatorGradient {
  return derivative((g, x, _y, node) => {
    const scaled = g.mul(x, alpha(node));
    const sigmoid = g.op('Sigmoid', [scaled]);
    return g.mul(sigmoid, g.add(1, g.mul(scaled, oneMinus(g, sigmoid))));
  });
}

/** Normal distribution function and density: d/dx x Φ(x) = Φ(x) + x φ(x). */
export const geluDerivative = (g: GradientEmitter, x: Value): Value => {
  const cdf = g.mul(g.add(g.op('Erf', [g.mul(x, Math.SQRT1_2)]), 1), 0.5);
  const pdf = g.mul(g.op('Exp', [g.mul(g.square(x), -0.5)]), 1 / Math.sqrt(2 * Math.PI));
  return g.add(cdf, g.mul(x, pdf));
};

/** x (1 + tanh u) / 2 with u = sqrt(2/pi) (x + 0.044715 x³). */
export const tanhGeluDerivative = (g: GradientEmitter, x: Value): Value => {
  const slope = Math.sqrt(2 / Math.PI);
  const squared = g.square(x);
  const u = g.mul(g.mul(x, slope), g.add(1, g.mul(squared, 0.044715)));
  const tanh = g.op('Tanh', [u]);
  const du = g.mul(g.add(1, g.mul(squared, 3 * 0.044715)), slope);
  const inner = g.mul(g.mul(oneMinus(g, g.square(tanh)), du), x);
  return g.mul(g.add(g.add(1, tanh), inner), 0.5);
};

const gelu = derivative((g, x, _y, node) =>
  node.string('approximate', 'none') === 'tanh' ? tanhGeluDerivative(g, x) : geluDerivative(g, x),
);

const alphaOf = (node: Node) => node.float('alpha');

/** d/dx max(0,x) + min(0, a (exp(x / b) - 1)), times c. */
const celu = derivative((g, x, y, node) =>
  g.where(positive(g, x, y, node), 1, g.add(g.div(y, alphaOf(node)), 1)),
);

export const elementwiseGradients: GradientTable = Object.freeze({
  Abs: derivative((g, x) => g.op('Sign', [x])),
  Acos: derivative((g, x) => g.div(-1, g.op('Sqrt', [oneMinus(g, g.square(x))]))),
  Acosh: derivative((g, x) => g.div(1, g.op('Sqrt', [g.sub(g.square(x), 1)]))),
  Asin: derivative((g, x) => g.div(1, g.op('Sqrt', [oneMinus(g, g.square(x))]))),
  Asinh: derivative((g, x) => g.div(1, g.op('Sqrt', [g.add(g.square(x), 1)]))),
  Atan: derivative((g, x) => g.div(1, g.add(g.square(x), 1))),
  Atanh: derivative((g, x) => g.div(1, oneMinus(g, g.square(x)))),
  Celu: celu,
  Cos: derivative((g, x) => g.neg(g.op('Sin', [x]))),
  Cosh: derivative((g, x) => g.op('Sinh', [x])),
  Elu: derivative((g, x, y, node) => g.where(positive(g, x, y, node), 1, g.add(y, alphaOf(node)))),
  Erf: derivative((g, x) => g.mul(g.op('Exp', [g.neg(g.square(x))]), 2 / Math.sqrt(Math.PI))),
  Exp: derivative((_g, _x, y) => y),
  Gelu: gelu,
  HardSigmoid: gate((g, _x, y) => between(g, y, 0, 1), alphaOf),
  HardSwish: derivative((g, x) => {
    const slope = g.add(g.div(x, 3), 0.5);
    return g.where(between(g, x, -3, 3), slope, g.cast(g.op('GreaterOrEqual', [x, 3])));
  }),
  LeakyRelu: gate(positive, 1, alphaOf),
  Log: derivative((g, x) => g.div(1, x)),
  Mish: derivative((g, x) => {
    const tanh = g.op('Tanh', [g.op('Softplus', [x])]);
    const inner = g.mul(oneMinus(g, g.square(tanh)), g.op('Sigmoid', [x]));
    return g.add(tanh, g.mul(x, inner));
  }),
  Neg: rule((g) => [() => g.neg(g.grad())]),
  Reciprocal: derivative((g, _x, y) => g.neg(g.square(y))),
  // By the output, so that nothing keeps what was before it.
  Relu: derivative((g, _x, y) => isAbove0(g, y)),
  Selu: derivative((g, x, y, node) => {
    const gamma = node.float('gamma');
    return g.where(positive(g, x, y, node), gamma, g.add(y, gamma * alphaOf(node)));
  }),
  Shrink: gate((g, x, _y, node) => g.op('Greater', [g.op('Abs', [x]), node.float('lambd')])),
  Sigmoid: derivative((g, _x, y) => g.mul(y, oneMinus(g, y))),
  Sin: derivative((g, x) => g.op('Cos', [x])),
  Sinh: derivative((g, x) => g.op('Cosh', [x])),
  Softplus: derivative((g, x) => g.op('Sigmoid', [x])),
  Softsign: derivative((g, x) => g.div(1, g.square(g.add(g.op('Abs', [x]), 1)))),
  Sqrt: derivative((g, _x, y) => g.div(0.5, y)),
  Swish: swish((node) => node.float('alpha')),
  Tan: derivative((g, _x, y) => g.add(g.square(y), 1)),
  Tanh: derivative((g, _x, y) => oneMinus(g, g.square(y))),
  ThresholdedRelu: gate((g, x, _y, node) => g.op('Greater', [x, alphaOf(node)])),
  'com.microsoft:Gelu': derivative((g, x) => geluDerivative(g, x)),
  'com.microsoft:QuickGelu': swish((node) => node.float('alpha')),
});
