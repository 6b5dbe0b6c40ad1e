/**
 * Chooses the scale of every weight by the error of its rounding. Works on the float model: weights
 * beyond the range that is kept are clipped to it, so that whatever scheme comes next, which takes
 * the largest weight for the end of its integers, finds the scale that was chosen. What clipping
 * does to the mean of a layer's output is taken out of its bias. Rounds nothing; learned rounding
 * does both at once (option scales), since it needs the weights as they were.
 */
import * as z from 'zod/mini';
import type { InputMoments } from '../../measure/input-moments.js';
import { Tensor } from '../../onnx/tensor.js';
import { definePass, type ReportBuilder } from '../../pass.js';
import { floatArray } from '../../simplify/affine.js';
import { setConstantInput } from '../../simplify/edit.js';
import { eachLayer, eachLayerWithMoments } from './each-layer.js';
import { elementsByOutput, type Layer, largestAt, layerFields, limitOf } from './layers.js';
import { type ScaledRow, searchScale } from './search-scale.js';

const weightScalesOptions = z.object({
  ...layerFields,
  /**
   * What an error counts. outputs: by what it does to the outputs of the layer on the samples.
   * weights: by its square; needs no samples.
   */
  by: z._default(z.enum(['outputs', 'weights']), 'outputs'),
});

type WeightScalesOptions = z.output<typeof weightScalesOptions>;

/** @example await applyPass(model, weightScales, {}, { engine, samples }) // then static */
export const weightScales = definePass({
  name: 'weight-scales',
  summary: 'Clips weights where a finer scale for the others makes the error of rounding smaller.',
  options: weightScalesOptions,
  async run(model, options, context) {
    const visit = async (layer: Layer, report: ReportBuilder, moments?: InputMoments) => {
      const { node } = layer.linear;
      const clipped = await scaleLayer(layer, moments, options);
      if (clipped === 0) report.skip(node, 'its largest weights are the best ends of the integers');
      else report.change(node, `${clipped} weights clipped for finer scales`);
    };
    const each = options.by === 'outputs' ? eachLayerWithMoments : eachLayer;
    return each(model, 'weight-scales', options, context, visit);
  },
});

/** Returns how many weights were clipped. */
async function scaleLayer(
  { linear, layout }: Layer,
  moments: InputMoments | undefined,
  options: WeightScalesOptions,
): Promise<number> {
  const { weight } = linear;
  const { outChannels } = linear.layout;
  const { groups, features } = layout;
  const floats = await floatArray(weight);
  const kept = floats.slice();
  const indices = elementsByOutput(linear);
  const limit = limitOf(options);
  const groupOf = (out: number) => Math.floor((out * groups) / outChannels);
  const rows = indices.map(
    (elements, out): ScaledRow => ({
      weights: Float64Array.from(elements, (i) => floats[i]!),
      covariance: moments?.covariances,
      start: groupOf(out) * features * features,
      damping: 0,
    }),
  );
  const tensorEnd = options.perChannel
    ? 0
    : searchScale(rows, limit) * Math.abs(floats[largestAt(floats, floats.keys())]!);
  const shift = new Float64Array(outChannels);
  let clipped = 0;
  for (const [out, elements] of indices.entries()) {
    const end = options.perChannel
      ? searchScale([rows[out]!], limit) * Math.abs(floats[largestAt(floats, elements)]!)
      : tensorEnd;
    for (const [feature, i] of elements.entries()) {
      kept[i] = Math.max(-end, Math.min(end, floats[i]!));
      if (kept[i] === floats[i]) continue;
      clipped++;
      const mean = moments?.means[groupOf(out) * features + feature] ?? 0;
      shift[out]! += (kept[i]! - floats[i]!) * mean;
    }
  }
  if (clipped === 0) return 0;
  const bias = await linear.bias.read();
  setConstantInput(linear.node, linear.weightIndex, Tensor.of('float', weight.dims, kept));
  // A layer without a bias keeps its mean error where a bias would be one more node.
  if (shift.some((s) => s !== 0) && (bias || linear.tail === linear.node)) {
    const corrected = shift.map((s, out) => (bias?.[out] ?? 0) - linear.alpha * s);
    linear.bias.write(Tensor.of('float', [outChannels], corrected));
  }
  return clipped;
}
