/**
 * Coupling of element-wise operators: indices at equal places leave together, broadcast axes take
 * no part. Source: the ONNX operator specification and ONNX Runtime's contrib operator list.
 */
import {
  type CouplingRule,
  type CouplingRules,
  fixAll,
  type LabelScope,
  type Labels,
  type Zeros,
} from './coupling-rule.js';

/**
 * Labels of a broadcast of these inputs: axes of equal size are unified, an axis that is stretched
 * takes no part.
 */
export function broadcastLabels(
  scope: LabelScope,
  inputs: readonly number[],
  dims: readonly number[],
): Labels[] {
  return dims.map((size, axis) => {
    let found: Labels | undefined;
    for (const input of inputs) {
      const own = axis - (dims.length - scope.dims(input).length);
      const labels = own < 0 ? undefined : scope.labels(input)[own]!;
      if (!labels || labels.length !== size) continue;
      if (found) scope.unify(found, labels);
      else found = labels;
    }
    return found ?? scope.fixed(size);
  });
}

/** `data`: the inputs that are broadcast; default all. Others stay as they are. */
function broadcast(zeros: Zeros | 'all' | undefined, data?: readonly number[]): CouplingRule {
  return {
    couple(scope) {
      // Before opset 7 an attribute aligned the second input.
      if (scope.node.has('broadcast'))
        return fixAll(scope, 'it broadcasts by the rules of opset 6');
      const present = [...scope.node.inputs.keys()].filter((input) => scope.has(input));
      for (const input of present) {
        if (data && !data.includes(input))
          scope.fixInput(input, 'it is a parameter of all elements');
      }
      const inputs = data ? data.filter((input) => scope.has(input)) : present;
      scope.node.outputs.forEach((output, index) => {
        if (output) scope.set(broadcastLabels(scope, inputs, scope.outDims(index)), index);
      });
    },
    ...(zeros && { zeros }),
  };
}

/** f(0) = 0: a unit that is zero stays zero. */
const keeps = broadcast({ all: [0] }, [0]);
/** f(0) is another number, or no number. */
const lifts = broadcast(undefined, [0]);
const product = broadcast({ any: [0, 1] });
const sum = broadcast('all');
const never = broadcast(undefined);

const named = (rule: CouplingRule, names: string): CouplingRules =>
  Object.fromEntries(names.split(' ').map((name) => [name, rule]));

export const elementwiseCoupling: CouplingRules = Object.freeze({
  ...named(
    keeps,
    'Abs Asin Asinh Atan Atanh Cast CastLike Ceil Celu Dropout Elu Erf Floor Gelu HardSwish Identity ' +
      'IsInf IsNaN LeakyRelu Mish Neg Relu Round Selu Shrink Sign Sin Sinh Softsign Sqrt Swish Tan ' +
      'Tanh ThresholdedRelu com.microsoft:Gelu com.microsoft:QuickGelu',
  ),
  ...named(
    lifts,
    'Acos Acosh BitwiseNot Clip Cos Cosh Exp HardSigmoid Log Not Reciprocal Sigmoid Softplus ' +
      'com.microsoft:QLinearLeakyRelu com.microsoft:QLinearSigmoid',
  ),
  ...named(sum, 'Add Max Mean Min Sub Sum'),
  ...named(product, 'Mul And BitwiseAnd'),
  ...named(
    never,
    'BitShift BitwiseOr BitwiseXor Equal Greater GreaterOrEqual Less LessOrEqual Or Xor',
  ),
  Div: { ...broadcast({ all: [0] }), divisors: [1] },
  Mod: { ...broadcast({ all: [0] }), divisors: [1] },
  Pow: { ...broadcast({ all: [0] }), divisors: [1] },
  PRelu: broadcast({ all: [0] }),
  Where: broadcast({ all: [1, 2] }),
  'com.microsoft:BiasGelu': broadcast('all'),
  'com.microsoft:FastGelu': broadcast('all'),
  'com.microsoft:BiasAdd': broadcast('all'),
  'com.microsoft:QLinearAdd': broadcast(undefined, [0, 3]),
  'com.microsoft:QLinearMul': broadcast(undefined, [0, 3]),
});
