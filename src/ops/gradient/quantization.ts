/**
 * Straight-through gradients of QuantizeLinear and DequantizeLinear: rounding counts as the
 * identity, clipping as what it is. The gradient of a quantized value is that of the real number
 * behind it, in units of the scale. Together the two give the scale the gradient of LSQ
 * (Esser et al. 2020): Σ dy (round(v) - v) inside the range, the bound outside.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { type DataType, dataTypes } from '../../onnx/data-type.js';
import { type GradientEmitter, type GradientTable, NoGradient, rule } from './rule.js';

/** A scale or zero point of one number per index of the axis, as [n, 1, 1, ...]. */
function aligned(g: GradientEmitter, node: Node, parameter: Value): Value {
  if (node.int('block_size', 0) !== 0) throw new NoGradient('blocks (block_size)');
  const rank = g.rankOf(node.input(0));
  if (!isPerAxis(node)) return g.reshape(parameter, []);
  const axis = (node.int('axis', 1) + rank) % rank;
  return g.reshape(parameter, [-1, ...Array.from({ length: rank - 1 - axis }, () => 1)]);
}

/** Whether there is a scale for each index of an axis, or one for all. */
function isPerAxis(node: Node): boolean {
  const { dims } = node.input(1);
  return dims?.length === 1 && dims[0] !== 1;
}

function totalPerScale(g: GradientEmitter, node: Node, value: Value): Value {
  const scale = node.input(1);
  const rank = g.rankOf(node.input(0));
  const axis = (node.int('axis', 1) + rank) % rank;
  const axes = Array.from({ length: rank }, (_, at) => at).filter(
    (at) => !isPerAxis(node) || at !== axis,
  );
  return g.reshapeLike(g.reduce('ReduceSum', value, axes), scale);
}

function zeroPoint(g: GradientEmitter, node: Node): Value | number {
  const zero = node.inputs[2];
  return zero ? aligned(g, node, g.cast(zero)) : 0;
}

function integerRange(dataType: DataType): [number, number] {
  const { bits, kind } = dataTypes[dataType];
  if (kind === 'unsigned') return [0, 2 ** bits - 1];
  if (kind === 'signed') return [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  throw new NoGradient(`quantization to ${dataType}`);
}

const quantize = rule((g, node) => {
  const scale = () => aligned(g, node, g.input(1));
  const ratio = () => g.div(g.input(0), scale());
  const isInside = () => {
    const [low, high] = integerRange(node.output().dataType ?? 'uint8');
    const shifted = g.add(ratio(), zeroPoint(g, node));
    return g.op('And', [
      g.op('GreaterOrEqual', [shifted, low]),
      g.op('LessOrEqual', [shifted, high]),
    ]);
  };
  const inside = () => g.where(isInside(), g.grad(), 0);
  return [
    () => g.div(inside(), scale()),
    () => totalPerScale(g, node, g.neg(g.div(g.mul(inside(), ratio()), scale()))),
  ];
});

const dequantize = rule((g, node) => [
  () => g.mul(g.grad(), aligned(g, node, g.input(1))),
  () => {
    const steps = g.sub(g.cast(node.input(0)), zeroPoint(g, node));
    return totalPerScale(g, node, g.mul(g.grad(), steps));
  },
]);

export const quantizationGradients: GradientTable = Object.freeze({
  QuantizeLinear: Object.freeze({ ...quantize, quantized: true }),
  DequantizeLinear: Object.freeze({ ...dequantize, quantized: true }),
});
