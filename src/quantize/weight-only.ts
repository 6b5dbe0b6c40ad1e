/**
 * Weights stored in few bits, activations and arithmetic left in float: the file shrinks to a
 * quarter or an eighth and accuracy hardly moves. What it does to speed depends on form and runtime:
 * - 'dequantize' writes DequantizeLinear, the standard form. ONNX Runtime turns DequantizeLinear +
 *   MatMul into an integer kernel on CPUs, but runs it before a Conv in every run (0.84 times the
 *   speed of float), unless the session sets session.disable_quant_qdq=1.
 * - 'cast' writes Cast and Mul, which every runtime folds into float weights at load: exactly the
 *   speed and the memory of the float model, with no session option.
 * - 'nbits' writes ONNX Runtime's MatMulNBits itself, in larger blocks than the runtime makes of a
 *   DequantizeLinear and for weights that are shared or transposed too; the other operators'
 *   weights go the way of 'cast', as int8.
 * Large constants that are no weights go the way of 'cast', in all forms, where int8 holds them
 * without loss.
 */
import type { Node } from '../graph/node.js';
import { dataTypes } from '../onnx/data-type.js';
import { type WeightInput, weightInputs } from '../ops/weights.js';
import { definePass } from '../pass.js';
import { storeExactly } from './exact.js';
import { quantizeGather } from './gather.js';
import type { RewriteResult, Rewriter } from './rewriter.js';
import { runScheme } from './scheme.js';
import { nBitsNode } from './weight-only/n-bits.js';
import {
  checkWeightOnly,
  formatOf,
  opsetOf,
  type WeightOnlyOptions,
  weightOnlyOptions,
} from './weight-only/options.js';
import { storeFloat } from './weight-only/store-float.js';

export { type WeightOnlyOptions, weightOnlyOptions } from './weight-only/options.js';

/** @example await applyPass(model, weightOnly, { weights: 'int4', blockSize: 32 }) */
export const weightOnly = definePass({
  name: 'weight-only',
  summary:
    'int8 or 4-bit weights, computed in float: a quarter of the size or less, no data needed.',
  options: weightOnlyOptions,
  async run(model, options, context) {
    checkWeightOnly(options);
    const opset = opsetOf(options);
    const report = await runScheme(model, { rewrites, options, context, opset });
    await storeExactly(model, options, context, report);
    return report;
  },
});

type Rewrite = (
  node: Node,
  rewriter: Rewriter,
  options: WeightOnlyOptions,
) => Promise<RewriteResult>;

const rewrites: Readonly<Record<string, Rewrite>> = Object.freeze({
  ...Object.fromEntries(
    Object.entries(weightInputs).map(([op, inputsOf]): [string, Rewrite] => [
      op,
      (node, rewriter, options) => storeWeights(node, inputsOf(node), rewriter, options),
    ]),
  ),
  // Rows that few bits would cost their meaning: tables keep 8 bits, or 16 where weights have them.
  Gather: async (node, rewriter, options) =>
    options.embeddings
      ? quantizeGather(
          node,
          rewriter,
          options,
          dataTypes[options.weights].bits > 8 ? 'int16' : 'int8',
        )
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
    const result = await forms[options.form](node, input, rewriter, options);
    if ('done' in result) done.push(result.done);
    else reasons.push(result.reason);
    // A form that put another node in place has taken care of all inputs.
    if (!node.graph) break;
  }
  return done.length > 0 ? { done: done.join(', ') } : { reason: reasons[0]! };
}

type Form = (
  node: Node,
  input: WeightInput,
  rewriter: Rewriter,
  options: WeightOnlyOptions,
) => Promise<RewriteResult>;

const forms: Readonly<Record<WeightOnlyOptions['form'], Form>> = Object.freeze({
  dequantize: (node, input, rewriter, options) =>
    storeFloat(node, input, rewriter, {
      ...options,
      form: 'dequantize',
      format: formatOf(options),
    }),
  cast: (node, input, rewriter, options) =>
    storeFloat(node, input, rewriter, { ...options, form: 'cast', format: formatOf(options) }),
  async nbits(node, input, rewriter, options) {
    const { dataType, symmetric } = formatOf(options);
    const { blockSize, minElements } = options;
    const nBits = { bits: dataTypes[dataType].bits, symmetric, blockSize, minElements };
    const { perChannel } = options;
    const int8 = { form: 'cast', format: { dataType: 'int8' }, perChannel, minElements } as const;
    return (
      (await nBitsNode(node, input, rewriter, nBits)) ??
      (await storeFloat(node, input, rewriter, int8))
    );
  },
});
