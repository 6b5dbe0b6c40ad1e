/**
 * Moves what makes activations hard to quantize into the weights that they are multiplied with:
 * each channel of the input of MatMul and Gemm is divided by a factor and the weights take it back,
 * so outputs stay. The division goes into what makes the input where that is exact, else into a Mul
 * before the layers. Works on the float model; convolutions are the business of equalize.
 *
 * Source: SmoothQuant (Xiao et al., 2023).
 */
import * as z from 'zod/mini';
import { createMatMul, type MatMul } from '../../engine/matmul.js';
import { inferShapes } from '../../engine/shapes.js';
import { throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import { Tensor } from '../../onnx/tensor.js';
import { integerRoles } from '../../ops/integer-roles.js';
import { definePass, ReportBuilder, requireEngine } from '../../pass.js';
import { checkPatterns, nodeMatcher } from '../../pattern.js';
import { floatArray } from '../../simplify/affine.js';
import { type Planned, planBefore } from '../../simplify/linear.js';
import { type Fold, planFold } from './fold-scale.js';
import { type InputRows, inputRows } from './input-rows.js';
import { findSmoothingGroups, type SmoothingGroup, smoothLinear } from './smoothing-groups.js';
import { type LayerWeight, searchStrength } from './smoothing-strength.js';

const smoothQuantOptions = z.object({
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
  /** Values of the exponent to try; for each activation the best is taken, or none. */
  strengths: z._default(
    z.array(z.number().check(z.gte(0), z.lte(1))).check(z.minLength(1)),
    [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
  ),
  /** Largest factor between two channels. */
  largest: z._default(z.number().check(z.gt(1)), 1024),
  /**
   * A Mul before the layers, where the input is made by what cannot take the factor, if it lowers
   * the error of the layers by this many dB; Infinity for no Mul at all.
   */
  leastGainDb: z._default(z.number().check(z.gte(0)), 1),
  /** MatMul too, which static leaves in float unless it is asked. */
  matMul: z._default(z.boolean(), true),
  /** As in the scheme that follows: one scale per output channel. */
  perChannel: z._default(z.boolean(), true),
  /** As in the scheme that follows: seven bits. */
  reduceRange: z._default(z.boolean(), false),
});

type SmoothQuantOptions = z.output<typeof smoothQuantOptions>;

/** @example await applyPass(model, smoothQuant, {}, { engine, samples }) // then static */
export const smoothQuant = definePass({
  name: 'smooth-quant',
  summary: 'Moves large channels of activations into the weights of MatMul and Gemm; outputs stay.',
  options: smoothQuantOptions,
  async run(model, options, context) {
    const report = new ReportBuilder();
    checkPatterns(options.include, model.allNodes(), 'include');
    checkPatterns(options.exclude, model.allNodes(), 'exclude');
    const engine = requireEngine(context, 'smooth-quant');
    await inferShapes(engine, model);
    const groups = findSmoothingGroups(model, (node) => whyNotAllowed(node, options), report);
    if (groups.length === 0) return report;
    const names = groups.map(({ value }) => value.name);
    const rows = await inputRows(model, names, context, 'smooth-quant');
    const blas = createMatMul(engine);
    const task = context.progress.task('smooth-quant: activations', groups.length);
    try {
      for (const [at, group] of groups.entries()) {
        throwIfAborted(context.signal);
        const seen = rows.get(group.value.name);
        if (seen) await smooth(model, group, seen, options, blas, report);
        else skipAll(group, 'its input was empty in every sample', report);
        task.update(at + 1);
      }
    } finally {
      task.end();
      await blas.release();
    }
    return report;
  },
});

function whyNotAllowed(
  node: Node,
  { include, exclude, matMul }: SmoothQuantOptions,
): string | undefined {
  if (nodeMatcher(exclude)(node)) return 'excluded by the caller';
  const role = integerRoles[node.op];
  if (role?.kind === 'compute' && role.onRequest && !matMul) {
    return `${node.op} is off (option matMul)`;
  }
  return include.length > 0 && !nodeMatcher(include)(node) ? 'not included' : undefined;
}

async function smooth(
  model: Model,
  group: SmoothingGroup,
  rows: InputRows,
  options: SmoothQuantOptions,
  blas: MatMul,
  report: ReportBuilder,
): Promise<void> {
  const weights: LayerWeight[] = [];
  for (const node of group.consumers) weights.push(await matrixOf(node));
  const found = await searchStrength(rows, weights, options, blas);
  if (found.strength === undefined) {
    skipAll(group, 'no smoothing of its input lowers the error of its output', report);
    return;
  }
  const gainDb = 10 * Math.log10(found.errorBefore / found.error);
  const inverse = found.scales.map((s) => 1 / s);
  const fold: Fold = group.isShared
    ? { reason: `others take "${group.value.name}" too` }
    : await planFold(group.value, inverse);
  if ('reason' in fold && gainDb < options.leastGainDb) {
    const gain = `a Mul would gain ${gainDb.toFixed(1)} dB, less than leastGainDb`;
    skipAll(group, `${fold.reason}, and ${gain}`, report);
    return;
  }
  const changes: Planned[] = [];
  for (const node of group.consumers) {
    const shift = new Float64Array(rows.channels);
    const apply = await planBefore(smoothLinear(node), { scale: found.scales, shift });
    if (!apply) {
      skipAll(group, 'a scaled weight would leave the range of its type', report);
      return;
    }
    changes.push(apply);
  }
  for (const apply of changes) apply();
  if ('reason' in fold) insertMul(model, group, inverse);
  else fold.apply();
  const place = 'reason' in fold ? 'by a Mul' : `in ${fold.into}`;
  for (const node of group.consumers) {
    report.change(
      node,
      `input scaled ${place}, strength ${found.strength}, output error -${gainDb.toFixed(1)} dB`,
    );
  }
}

/** The weight of a layer as [channels, outputs], whichever way it is stored. */
async function matrixOf(node: Node): Promise<LayerWeight> {
  const { weight, layout } = smoothLinear(node);
  const floats = await floatArray(weight);
  const { rows, columns, inChannels, outChannels } = layout;
  const data = new Float32Array(inChannels * outChannels);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = layout.inChannel(row, column) * outChannels + layout.outChannel(row, column);
      data[at] = floats[row * columns + column]!;
    }
  }
  return { dims: [inChannels, outChannels], data };
}

function insertMul(model: Model, { value, uses }: SmoothingGroup, factors: Float64Array): void {
  const { graph } = model;
  const dataType = value.dataType ?? 'float';
  const constant = graph.addInitializer(
    graph.freshName(`${value.name}_smoothing`),
    Tensor.of(dataType, [factors.length], factors),
  );
  const node = graph.addNode(
    {
      opType: 'Mul',
      name: graph.freshNodeName(`${value.name}_smoothed`),
      inputs: [value, constant],
    },
    value.producer ? { after: value.producer } : { before: graph.nodes.first! },
  );
  node.output().type = value.type;
  for (const use of uses) use.node.setInput(use.index, node.output());
}

function skipAll({ consumers }: SmoothingGroup, reason: string, report: ReportBuilder): void {
  for (const node of consumers) report.skip(node, reason);
}
