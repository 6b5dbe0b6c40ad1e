/**
 * Dynamic quantization: int8 weights, activations quantized anew in every run. Needs no data.
 * Which operators it knows is the table below; everything else is reported with its reason.
 */
import type { Node } from '../graph/node.js';
import { definePass } from '../pass.js';
import { dynamicConv } from './dynamic/conv.js';
import { dynamicGemm } from './dynamic/gemm.js';
import { dynamicLstm } from './dynamic/lstm.js';
import { dynamicMatMul } from './dynamic/mat-mul.js';
import { type DynamicOptions, dynamicOptions } from './dynamic/options.js';
import { quantizeGather } from './gather.js';
import type { RewriteResult, Rewriter } from './rewriter.js';
import { saturationWarning } from './saturation-warning.js';
import { runScheme } from './scheme.js';

type DynamicRewrite = (
  node: Node,
  rewriter: Rewriter,
  options: DynamicOptions,
) => Promise<RewriteResult>;

/** By operator. A new one is one file and one row here. */
const rewrites: Readonly<Record<string, DynamicRewrite>> = Object.freeze({
  MatMul: dynamicMatMul,
  Gemm: dynamicGemm,
  Conv: dynamicConv,
  LSTM: dynamicLstm,
  Gather: async (node, rewriter, options) =>
    options.embeddings
      ? quantizeGather(node, rewriter, options)
      : { reason: 'embedding tables are off (option embeddings)' },
});

/** Operators that move stored integers and sum none. */
const sumNone: ReadonlySet<string> = new Set(['Gather']);

/**
 * @example
 * const { model: small } = await applyPass(model, dynamic, { exclude: ['/head/*'] });
 */
export const dynamic = definePass({
  name: 'dynamic',
  summary:
    'int8 weights and activations quantized in every run, for MatMul, Gemm, LSTM and, where it pays, Conv.',
  options: dynamicOptions,
  // DynamicQuantizeLinear came with opset 11.
  async run(model, options, context) {
    const report = await runScheme(model, { rewrites, options, context, opset: 11 });
    const sums = report.changed.some(({ op }) => !sumNone.has(op));
    const { reduceRange } = options;
    const warning = sums && (await saturationWarning({ weights: 'int8', reduceRange }, context));
    if (warning) report.warn(warning);
    return report;
  },
});
