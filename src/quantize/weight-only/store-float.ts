/**
 * Weights that the graph turns back to float: by DequantizeLinear, or by Cast, Sub and Mul.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { elementCount } from '../../onnx/data-type.js';
import { quantizedForm } from '../../ops/quantized-form.js';
import { hasFusedActivation, type WeightInput } from '../../ops/weights.js';
import { findWeight, tooSmall } from '../find-weight.js';
import { type ScaleLayout, scaleDims } from '../kernels.js';
import type { RewriteResult, Rewriter, StoredWeight } from '../rewriter.js';
import type { StoredFormat } from '../weight-types.js';

export interface StoreFloatOptions {
  readonly format: StoredFormat;
  readonly form: 'dequantize' | 'cast';
  readonly blockSize?: number | undefined;
  readonly perChannel: boolean;
  readonly minElements: number;
}

export async function storeFloat(
  node: Node,
  input: WeightInput,
  rewriter: Rewriter,
  options: StoreFloatOptions,
): Promise<RewriteResult> {
  const { format, form } = options;
  const weight = await findWeight(node, input.index);
  if ('reason' in weight) return weight;
  const small = tooSmall(weight, options);
  if (small) return small;
  if (form === 'dequantize' && format.dataType === 'float8e4m3fn' && takesDequantized(node)) {
    // Read back: the session then fails with an invalid MatMulIntegerToFloat (onnxruntime 1.30).
    return { reason: 'the runtime fails on float8 weights beside quantized activations' };
  }
  // The runtime joins DequantizeLinear with a Gemm only where that transposes nothing; where it
  // does not join them, DequantizeLinear runs faster along the first axis.
  const transposedBy = hasFusedActivation(node) ? undefined : input.transposedBy;
  const perm = transposedBy ? [1, 0] : [...weight.dims.keys()];
  const dims = perm.map((from) => weight.dims[from]!);
  const layout = { dims, ...cutOf(input, perm, options) };
  const perScale = elementCount(dims) / elementCount(scaleDims(layout));
  // A channel of n floats takes n bytes and the 4 of its scale.
  if (perScale < 4) {
    return { reason: `its channels have ${perScale} elements, the scales would weigh as much` };
  }
  const stored = await rewriter.weight(node, weight, { ...format, ...layout, perm });
  // Nodes that share a weight share its float form too, where they are in the same graph.
  const key = `${stored.values.name}|${weight.dataType}`;
  const float = rewriter.once(node.graph!, key, () => {
    const value = floatForms[form](rewriter, node, stored, layout);
    return weight.dataType === 'float' ? value : rewriter.cast(node, value, weight.dataType);
  });
  node.setInput(input.index, float);
  if (transposedBy) node.setAttribute(transposedBy, 0);
  const { axis, blockSize } = layout;
  const scales =
    axis === undefined ? 'per tensor' : blockSize ? `in blocks of ${blockSize}` : 'per channel';
  return { done: `${format.dataType} weight [${weight.dims.join(',')}] ${scales}, form ${form}` };
}

/** Whether another input of the node comes out of integers. */
function takesDequantized(node: Node): boolean {
  return node.inputs.some((input) => {
    const { producer } = input ?? {};
    return producer !== undefined && quantizedForm(producer) === 'qdq';
  });
}

/** Blocks where the products are summed along one axis, else channels, else the whole tensor. */
function cutOf(
  input: WeightInput,
  perm: readonly number[],
  { blockSize, perChannel }: StoreFloatOptions,
): { readonly axis: number | undefined; readonly blockSize?: number } {
  const rank = perm.length;
  const along = blockSize === undefined ? undefined : input.sumAxis?.(rank);
  if (along !== undefined) return { axis: perm.indexOf(along), blockSize: blockSize! };
  const channels = perChannel ? input.axis(rank) : undefined;
  return { axis: channels === undefined ? undefined : perm.indexOf(channels) };
}

type FloatForm = (
  rewriter: Rewriter,
  node: Node,
  stored: StoredWeight,
  layout: ScaleLayout & { readonly dims: readonly number[] },
) => Value;

const floatForms: Readonly<Record<'dequantize' | 'cast', FloatForm>> = Object.freeze({
  dequantize(rewriter, node, stored, layout) {
    const dims = scaleDims(layout);
    const parameters = [rewriter.scales(stored, dims), rewriter.zeroPoints(stored, dims)];
    while (parameters.at(-1) === undefined) parameters.pop();
    return rewriter.emit(node, 'DequantizeLinear', [stored.values, ...parameters], {
      axis: layout.axis,
      block_size: layout.blockSize,
    });
  },
  cast(rewriter, node, stored, { dims, axis }) {
    const perAxis = axis === undefined ? [] : dims.map((dim, i) => (i === axis ? dim : 1));
    const zero = rewriter.zeroPoints(stored, perAxis);
    let value = rewriter.cast(node, stored.values, 'float');
    if (zero) value = rewriter.emit(node, 'Sub', [value, rewriter.cast(node, zero, 'float')]);
    return rewriter.emit(node, 'Mul', [value, rewriter.scales(stored, perAxis)]);
  },
});
