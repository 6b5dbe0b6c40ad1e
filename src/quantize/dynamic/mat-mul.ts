/**
 * MatMul by a constant: DynamicQuantizeLinear, MatMulInteger, Cast, Mul. ONNX Runtime fuses the
 * four (and a bias Add behind them) into one DynamicQuantizeMatMul at load.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { Tensor } from '../../onnx/tensor.js';
import { type FoundWeight, findWeight, tooSmall } from '../find-weight.js';
import type { RewriteResult, Rewriter } from '../rewriter.js';
import { quantizeActivation } from './activation.js';
import { type DynamicOptions, describeWeight } from './options.js';

export async function dynamicMatMul(
  node: Node,
  rewriter: Rewriter,
  options: DynamicOptions,
): Promise<RewriteResult> {
  const weight = await findWeight(node, 1);
  if ('reason' in weight) {
    const left = await findWeight(node, 0);
    return 'reason' in left ? weight : { reason: 'its weight is the left operand' };
  }
  const small = tooSmall(weight, options);
  if (small) return small;
  if (weight.dims.length < 2) return { reason: 'its weight is a vector' };
  const product = await emitProduct(rewriter, node, node.input(0), weight, { options });
  rewriter.replace(node, fromFloat(rewriter, node, product, weight));
  return { done: `MatMulInteger, ${describeWeight(weight, options)}` };
}

/** x times the quantized weight [.., K, N], as float32. */
export async function emitProduct(
  rewriter: Rewriter,
  node: Node,
  x: Value,
  weight: FoundWeight,
  how: { options: DynamicOptions; perm?: readonly number[]; alpha?: number },
): Promise<Value> {
  const rank = weight.dims.length;
  const { reduceRange, perChannel } = how.options;
  const stored = await rewriter.weight(node, weight, {
    dataType: 'int8',
    reduceRange,
    // The columns are the output channels; a batch of matrices shares the scales of its columns.
    axis: perChannel ? rank - 1 : undefined,
    ...(how.perm && { perm: how.perm }),
  });
  const columns = stored.scales.length;
  const scales = rewriter.scales(stored, columns === 1 ? [] : [columns], how.alpha);
  const home = stored.initializer.graph;
  const zeroPoint = rewriter.once(home, 'int8 zero', () =>
    rewriter.constant(home, 'int8_zero_point', Tensor.scalar('int8', stored.zeroPoints![0]!)),
  );
  const activation = quantizeActivation(rewriter, node, x, weight.dataType);
  const accumulator = rewriter.emit(node, 'MatMulInteger', [
    activation.values,
    stored.values,
    activation.zeroPoint,
    zeroPoint,
  ]);
  const scale = rewriter.emit(node, 'Mul', [activation.scale, scales]);
  return rewriter.emit(node, 'Mul', [rewriter.cast(node, accumulator, 'float'), scale]);
}

/** Back to the type that the model computes in. */
export function fromFloat(
  rewriter: Rewriter,
  node: Node,
  value: Value,
  weight: FoundWeight,
): Value {
  return weight.dataType === 'float' ? value : rewriter.cast(node, value, weight.dataType);
}
