/**
 * Folds BatchNormalization into the Conv, ConvTranspose, Gemm or MatMul before it, or into all of
 * those after it. One that computes statistics (training) stays. With a shift before a padded
 * convolution nothing is folded: the padding would not be shifted.
 * Formula: y = (x - mean) / sqrt(var + epsilon) * scale + B, ONNX BatchNormalization.
 */
import * as z from 'zod/mini';
import type { Node } from '../graph/node.js';
import { definePass, ReportBuilder } from '../pass.js';
import type { Affine } from './affine.js';
import { isAnnotationPart, replaceValue, whyNotReplace } from './edit.js';
import { knownDims } from './known.js';
import {
  type Linear,
  linearBefore,
  linearOf,
  type Planned,
  planAfter,
  planBefore,
  samePlace,
  whyNotBefore,
  whyNotChange,
} from './linear.js';

export const foldBatchNorm = definePass({
  name: 'fold-batch-norm',
  summary: 'Folds BatchNormalization into the linear operator before or after it.',
  options: z.object({
    /** A weight that other nodes use too is copied when it has at most this many bytes. */
    copyLimitBytes: z._default(z.number().check(z.nonnegative()), 1 << 20),
  }),
  async run(model, { copyLimitBytes }) {
    const report = new ReportBuilder();
    for (const graph of [...model.allGraphs()]) {
      for (const node of graph.nodes) {
        if (node.op !== 'BatchNormalization') continue;
        const affine = await affineOf(node);
        if ('reason' in affine) {
          report.skip(node, affine.reason);
          continue;
        }
        const after = await foldIntoProducer(node, affine, copyLimitBytes);
        if ('into' in after) {
          report.change(node, `folded into ${after.into}`);
          continue;
        }
        const before = await foldIntoUsers(node, affine, copyLimitBytes);
        if ('into' in before) report.change(node, `folded into ${before.into}`);
        else report.skip(node, `${after.reason}; ${before.reason}`);
      }
    }
    return report;
  },
});

type Outcome = { readonly into: string } | { readonly reason: string };

async function affineOf(node: Node): Promise<Affine | { readonly reason: string }> {
  const opset = node.graph?.opset() ?? 7;
  const training =
    node.int('training_mode', 0) !== 0 ||
    node.outputs.length > 1 ||
    (opset < 7 && node.int('is_test', 0) === 0);
  if (training) return { reason: 'it is in training mode' };
  if (node.int('spatial', 1) === 0) return { reason: 'it normalizes each place by itself' };
  const names = ['scale', 'bias', 'mean', 'variance'];
  const parameters: number[][] = [];
  for (const [i, name] of names.entries()) {
    const tensor = node.constantInput(i + 1);
    if (!tensor) return { reason: `its ${name} is computed` };
    parameters.push(await tensor.numbers());
  }
  const [gamma, beta, mean, variance] = parameters as [number[], number[], number[], number[]];
  const epsilon = node.float('epsilon', 1e-5);
  const scale = Float64Array.from(gamma, (g, i) => g / Math.sqrt(variance[i]! + epsilon));
  const shift = scale.map((s, i) => beta[i]! - mean[i]! * s);
  if (![...scale, ...shift].every(Number.isFinite)) return { reason: 'its factors are not finite' };
  return { scale, shift };
}

async function foldIntoProducer(node: Node, affine: Affine, limit: number): Promise<Outcome> {
  const input = node.input(0);
  const linear = linearBefore(input);
  if ('reason' in linear) return linear;
  if (!input.onlyUse) return { reason: `the output of ${linear.tail.label} is used elsewhere too` };
  if (isAnnotationPart(input)) return { reason: 'its input carries a quantization annotation' };
  const rank = knownDims(input)?.length;
  if (!samePlace(linear.output, { axis: 1, rank })) {
    return { reason: `its channels are not those of ${linear.node.label}` };
  }
  if (linear.layout.outChannels !== affine.scale.length) return mismatch(linear, affine);
  const why = whyNotChange(linear, limit) ?? whyNotReplace(node.output(), input);
  if (why) return { reason: why };
  const apply = await planAfter(linear, affine);
  if (!apply) return overflow(linear);
  apply();
  replaceValue(node.output(), input);
  node.graph!.removeNode(node);
  return { into: linear.node.label };
}

/** All users must take it, else the normalization would have to stay. */
async function foldIntoUsers(node: Node, affine: Affine, limit: number): Promise<Outcome> {
  const output = node.output();
  if (output.isOutput) return { reason: 'its output is an output of the graph' };
  const why = whyNotReplace(output, node.input(0));
  if (why) return { reason: why };
  const plans: Planned[] = [];
  const labels: string[] = [];
  for (const { node: user, index } of output.uses) {
    const linear = linearOf(user);
    if (!linear) return { reason: `its output goes to ${user.op} ${user.label}` };
    if ('reason' in linear) return linear;
    if (index !== linear.dataIndex) return { reason: `its output is a weight of ${user.label}` };
    if (!samePlace(linear.input, { axis: 1, rank: knownDims(output)?.length })) {
      return { reason: `its channels are not those of ${user.label}` };
    }
    if (linear.layout.inChannels !== affine.scale.length) return mismatch(linear, affine);
    const reason = whyNotBefore(linear, affine) ?? whyNotChange(linear, limit);
    if (reason) return { reason };
    const apply = await planBefore(linear, affine);
    if (!apply) return overflow(linear);
    plans.push(apply);
    labels.push(user.label);
  }
  if (plans.length === 0) return { reason: 'nobody uses its output' };
  for (const apply of plans) apply();
  replaceValue(output, node.input(0));
  node.graph!.removeNode(node);
  return { into: labels.join(', ') };
}

function mismatch(linear: Linear, affine: Affine): { readonly reason: string } {
  const { outChannels, inChannels } = linear.layout;
  return {
    reason: `it has ${affine.scale.length} channels, ${linear.node.label} makes ${outChannels} of ${inChannels}`,
  };
}

function overflow(linear: Linear): { readonly reason: string } {
  return { reason: `the weights of ${linear.node.label} would leave the range of their type` };
}
