/**
 * Scores by one gradient per sample: gradient times activation, and Taylor. Per unit with outputs
 * a at places p of a sample:
 *   gradient-activation: mean over samples of |sum_p a_p dF/da_p|, F the logit of the target class;
 *   taylor: the same of the loss, the first-order change of it when the unit is zero. Source:
 *   Molchanov et al., "Pruning Convolutional Neural Networks for Resource Efficient Inference"
 *   (2017), eq. 6 to 8; gradient times activation as Captum defines it for layers.
 */
import { float32Of } from '../engine/host-tensor.js';
import { throwIfAborted } from '../errors.js';
import type { Value } from '../graph/value.js';
import { type Backward, contribution, openGradients } from './gradients.js';
import type { Layer } from './layers.js';
import { openForward, type Rows, type Subject } from './subject.js';
import { logitSlope, lossSlope, targetsOf } from './target.js';
import { byUnit } from './unit-view.js';

/** By layer: one number per unit. Layers that the logits do not depend on smoothly are left out. */
export type UnitScores = ReadonlyMap<Layer, Float64Array>;

const slopes = { taylor: lossSlope, 'gradient-activation': logitSlope } as const;
type GradientScore = keyof typeof slopes;

export async function gradientScores(
  { target, context, layers, ...subject }: Subject,
  backward: Backward,
  data: readonly Rows[],
): Promise<Readonly<Record<GradientScore, UnitScores>>> {
  const outputs = new Map<Layer, string>();
  const gradients = await openGradients(backward, (e) =>
    layers.flatMap((layer): Value[] => {
      const gradient = backward.gradients.get(layer.value.name);
      if (!gradient) return [];
      const output = e.graph.value(layer.value.name);
      const product = contribution(e, output, e.graph.value(gradient));
      const sum = e.reduce('ReduceSum', byUnit(e, product, layer), [2, 3], false);
      outputs.set(layer, sum.name);
      return [sum];
    }),
  );
  const empty = () =>
    new Map([...outputs.keys()].map((layer) => [layer, new Float64Array(layer.units)]));
  const sums: Record<GradientScore, Map<Layer, Float64Array>> = {
    taylor: empty(),
    'gradient-activation': empty(),
  };
  const total = data.reduce((sum, { count }) => sum + count, 0);
  const task = context.progress.task('explain: gradients', total);
  const forward = await openForward(subject, target.logits);
  let done = 0;
  try {
    for (const rows of data) {
      throwIfAborted(context.signal);
      const logits = (await forward.run(rows.feeds))[target.logits]!;
      const targets = targetsOf(target, rows.feeds, rows.labels, logits);
      for (const name of Object.keys(slopes) as GradientScore[]) {
        const slope = slopes[name](target, logits, targets);
        const results = await gradients.run(rows.feeds, slope, logits.dims);
        for (const [layer, output] of outputs) {
          addMagnitudes(sums[name].get(layer)!, float32Of(results[output]!), rows.count);
        }
      }
      done += rows.count;
      task.update(done);
    }
  } finally {
    task.end();
    await forward.release();
    await gradients.release();
  }
  for (const scores of Object.values(sums))
    for (const each of scores.values()) scale(each, 1 / total);
  return sums;
}

export function addMagnitudes(sums: Float64Array, numbers: Float32Array, rows: number): void {
  const units = sums.length;
  for (let row = 0; row < rows; row++) {
    for (let unit = 0; unit < units; unit++) sums[unit]! += Math.abs(numbers[row * units + unit]!);
  }
}

export function scale(numbers: Float64Array, factor: number): void {
  for (let i = 0; i < numbers.length; i++) numbers[i]! *= factor;
}
