/**
 * Weights stored as int8, activations and arithmetic left in float: the file shrinks to a quarter
 * and accuracy hardly moves. What it does to speed depends on the form and the runtime:
 * - 'dequantize' writes DequantizeLinear, the standard form. ONNX Runtime turns DequantizeLinear +
 *   MatMul into an integer kernel on CPUs, but runs it before a Conv in every run (0.84 times the
 *   speed of float), unless the session sets session.disable_quant_qdq=1.
 * - 'cast' writes Cast and Mul, which every runtime folds into float weights at load: exactly the
 *   speed and the memory of the float model, with no session option.
 * Large constants that are no weights go the second way, in both forms, where int8 holds them
 * without loss.
 */
import * as z from 'zod/mini';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { elementCount } from '../onnx/data-type.js';
import { hasFusedActivation, type WeightInput, weightInputs } from '../ops/weights.js';
import { definePass } from '../pass.js';
import { storeExactly } from './exact.js';
import { findWeight, tooSmall } from './find-weight.js';
import { quantizeGather } from './gather.js';
import type { RewriteResult, Rewriter } from './rewriter.js';
import { runScheme } from './scheme.js';

export const weightOnlyOptions = z.object({
  /** Only nodes that match: names, wildcards, op:Type. Default all. */
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
  /** How the runtime gets its float weights back; see the file's header. */
  form: z._default(z.enum(['dequantize', 'cast']), 'dequantize'),
  perChannel: z._default(z.boolean(), true),
  /** Smaller weights stay float: their scales and nodes would weigh as much. */
  minElements: z._default(z.number().check(z.minimum(0)), 1024),
  embeddings: z._default(z.boolean(), true),
});

export type WeightOnlyOptions = z.output<typeof weightOnlyOptions>;

/** @example await applyPass(model, weightOnly, { form: 'cast' }) */
export const weightOnly = definePass({
  name: 'weight-only',
  summary: 'int8 weights per channel, computed in float: a quarter of the size, no data needed.',
  options: weightOnlyOptions,
  async run(model, options, context) {
    const report = await runScheme(model, {
      rewrites,
      options,
      context,
      // DequantizeLinear has an axis from opset 13 on; Cast and Mul are what they are from 7 on.
      opset: options.form === 'dequantize' ? 13 : 7,
    });
    await storeExactly(model, options, context, report);
    return report;
  },
});

const rewrites: Readonly<
  Record<
    string,
    (node: Node, rewriter: Rewriter, options: WeightOnlyOptions) => Promise<RewriteResult>
  >
> = Object.freeze({
  ...Object.fromEntries(
    Object.entries(weightInputs).map(([op, inputsOf]) => [
      op,
      (node: Node, rewriter: Rewriter, options: WeightOnlyOptions) =>
        storeWeights(node, inputsOf(node), rewriter, options),
    ]),
  ),
  Gather: async (node, rewriter, options) =>
    options.embeddings
      ? quantizeGather(node, rewriter, options)
      : { reason: 'embedding tables are off (option embeddings)' },
});

async function storeWeights(
  node: Node,
  inputs: readonly WeightInput[],
  rewriter: Rewriter,
  options: WeightOnlyOptions,
): Promise<RewriteResult> {
  const done: string[] = [];
  const reasons: string[] = [];
  for (const input of inputs) {
    const result = await storeWeight(node, input, rewriter, options);
    if ('done' in result) done.push(result.done);
    else reasons.push(result.reason);
  }
  return done.length > 0 ? { done: done.join(', ') } : { reason: reasons[0]! };
}

async function storeWeight(
  node: Node,
  input: WeightInput,
  rewriter: Rewriter,
  options: WeightOnlyOptions,
): Promise<RewriteResult> {
  const weight = await findWeight(node, input.index);
  if ('reason' in weight) return weight;
  const small = tooSmall(weight, options);
  if (small) return small;
  // The runtime joins DequantizeLinear with a Gemm only where that transposes nothing; where it
  // does not join them, DequantizeLinear runs faster along the first axis.
  const transposedBy = hasFusedActivation(node) ? undefined : input.transposedBy;
  const perm = transposedBy ? [1, 0] : [...weight.dims.keys()];
  const dims = perm.map((from) => weight.dims[from]!);
  const channels = options.perChannel ? input.axis(dims.length) : undefined;
  const axis = channels === undefined ? undefined : perm.indexOf(channels);
  // A channel of n floats takes n bytes and the 4 of its scale.
  const perScale = elementCount(dims) / (axis === undefined ? 1 : dims[axis]!);
  if (perScale < 4) {
    return { reason: `its channels have ${perScale} elements, the scales would weigh as much` };
  }
  const stored = await rewriter.weight(node, weight, { dataType: 'int8', axis, perm });
  // Nodes that share a weight share its float form too, where they are in the same graph.
  const key = `${stored.values.name}|${weight.dataType}`;
  const float = rewriter.once(node.graph!, key, () => {
    const scale = rewriter.scales(stored, scaleDims(dims, axis, options.form));
    const value = toFloat(rewriter, node, stored.values, scale, axis, options.form);
    return weight.dataType === 'float' ? value : rewriter.cast(node, value, weight.dataType);
  });
  node.setInput(input.index, float);
  if (transposedBy) node.setAttribute(transposedBy, 0);
  const scales = axis === undefined ? 'tensor' : 'channel';
  return { done: `int8 weight [${weight.dims.join(',')}] per ${scales}, form ${options.form}` };
}

function toFloat(
  rewriter: Rewriter,
  node: Node,
  values: Value,
  scale: Value,
  axis: number | undefined,
  form: WeightOnlyOptions['form'],
): Value {
  if (form === 'dequantize') {
    return rewriter.emit(node, 'DequantizeLinear', [values, scale], { axis });
  }
  return rewriter.emit(node, 'Mul', [rewriter.cast(node, values, 'float'), scale]);
}

/** DequantizeLinear takes [channels], Mul needs dims that broadcast. */
function scaleDims(
  dims: readonly number[],
  axis: number | undefined,
  form: WeightOnlyOptions['form'],
): readonly number[] {
  if (axis === undefined) return [];
  if (form === 'dequantize') return [dims[axis]!];
  return dims.map((dim, i) => (i === axis ? dim : 1));
}
