/**
 * Conv as ConvInteger with unsigned weights around 128, whose scale still differs per channel:
 * the kernel wants one zero point, and every channel has the same. int8 weights would run on a
 * scalar kernel on x64 (3 to 5 times slower than float, measured with onnxruntime 1.30).
 */
import type { Node } from '../../graph/node.js';
import { Tensor } from '../../onnx/tensor.js';
import { findWeight, tooSmall } from '../find-weight.js';
import type { RewriteResult, Rewriter } from '../rewriter.js';
import { quantizeActivation } from './activation.js';
import { fromFloat } from './mat-mul.js';
import { type DynamicOptions, describeWeight } from './options.js';

export async function dynamicConv(
  node: Node,
  rewriter: Rewriter,
  options: DynamicOptions,
): Promise<RewriteResult> {
  if (!options.conv) return { reason: 'dynamic convolutions are off (option conv)' };
  const weight = await findWeight(node, 1);
  if ('reason' in weight) return weight;
  const small = tooSmall(weight, options);
  if (small) return small;
  if (node.int('group', 1) > 1) {
    return { reason: 'integer kernels are slower than float for grouped and depthwise Conv' };
  }
  const stored = await rewriter.weight(node, weight, {
    dataType: 'uint8',
    reduceRange: options.reduceRange,
    axis: options.perChannel ? 0 : undefined,
  });
  const home = stored.initializer.graph;
  const activation = quantizeActivation(rewriter, node, node.input(0), weight.dataType);
  const accumulator = rewriter.emit(
    node,
    'ConvInteger',
    [
      activation.values,
      stored.values,
      activation.zeroPoint,
      rewriter.once(home, 'uint8 128', () =>
        rewriter.constant(home, 'uint8_zero_point', Tensor.scalar('uint8', stored.zeroPoints![0]!)),
      ),
    ],
    Object.fromEntries(node.attributes),
  );
  // One value per output channel, broadcast over the spatial axes.
  const perChannel = [stored.scales.length, ...weight.dims.slice(2).map(() => 1)];
  const scales = rewriter.scales(stored, perChannel);
  const scale = rewriter.emit(node, 'Mul', [activation.scale, scales]);
  let result = rewriter.emit(node, 'Mul', [rewriter.cast(node, accumulator, 'float'), scale]);
  result = fromFloat(rewriter, node, result, weight);
  const bias = node.inputs[2];
  if (bias) {
    const shape = rewriter.constant(
      node.graph!,
      `${node.label}_bias_shape`,
      Tensor.of('int64', [perChannel.length], [weight.dims[0]!, ...perChannel.slice(1)]),
    );
    result = rewriter.emit(node, 'Add', [result, rewriter.emit(node, 'Reshape', [bias, shape])]);
  }
  rewriter.replace(node, result);
  return { done: `ConvInteger, ${describeWeight(weight, options, 'uint8')}` };
}
