/**
 * Operators through which no gradient passes: their outputs are no real numbers, constant between
 * jumps, or do not depend on what the inputs hold. And operators that pare refuses by name.
 */
import { type GradientTable, type OperatorGradient, stops, unsupported } from './rule.js';

const notReal = stops('its output is an index, a shape, a truth value or text');
const stepwise = stops('its output is constant between jumps');
const random = stops('its output is drawn at random');
const constant = stops('its output does not depend on what its inputs hold');

function rows(names: string, entry: OperatorGradient): [string, OperatorGradient][] {
  return names.split(' ').map((name) => [name, entry]);
}

const control = unsupported('its subgraph is not differentiated');

export const stopGradients: GradientTable = Object.freeze(
  Object.fromEntries([
    ...rows('Shape Size ArgMax ArgMin NonZero IsNaN IsInf EyeLike', notReal),
    ...rows('Equal Greater GreaterOrEqual Less LessOrEqual And Or Not Xor', notReal),
    ...rows('BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BitShift NonMaxSuppression', notReal),
    ...rows('Round Floor Ceil Sign Hardmax', stepwise),
    ...rows('RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli', random),
    ...rows('Multinomial', random),
    ...rows('Constant ConstantOfShape', constant),
    ...rows('If Loop Scan', control),
    ['Unique', unsupported('which elements are equal decides what it gives')],
    ['DynamicQuantizeLinear', unsupported('its scale depends on the largest values it sees')],
    ['com.microsoft:DynamicQuantizeMatMul', unsupported('its weights are integers')],
    ['com.microsoft:MatMulNBits', unsupported('its weights are packed integers')],
    ['MatMulInteger', unsupported('it computes with integers')],
    ['ConvInteger', unsupported('it computes with integers')],
    ['QLinearMatMul', unsupported('it computes with integers')],
    ['QLinearConv', unsupported('it computes with integers')],
  ]),
);
