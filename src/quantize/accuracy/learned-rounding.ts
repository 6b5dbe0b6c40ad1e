/**
 * Rounds the weights of Conv and Gemm to the integers that change the layer's outputs least on
 * samples, in place of the nearest ones. Works on the float model: the weights come out as
 * integer * scale with the largest at the end of the integers, so that `static` after it finds the
 * same scales and stores these very integers.
 *
 * The covariance of the inputs is taken, not their second moment, since an error of the mean is
 * taken out of the bias here.
 */
import * as z from 'zod/mini';
import type { InputMoments } from '../../measure/input-moments.js';
import { Tensor } from '../../onnx/tensor.js';
import { definePass } from '../../pass.js';
import { floatArray } from '../../simplify/affine.js';
import { setConstantInput } from '../../simplify/edit.js';
import { eachLayerWithMoments } from './each-layer.js';
import { elementsByOutput, type Layer, largestAt, layerFields, limitOf } from './layers.js';
import { roundRow } from './round-row.js';
import { type ScaledRow, searchScale } from './search-scale.js';

const learnedRoundingOptions = z.object({
  ...layerFields,
  /** largest: the largest weight is the largest integer. search: see search-scale.ts. */
  scales: z._default(z.enum(['largest', 'search']), 'largest'),
  /** Share of the mean variance that is added to every variance. */
  damping: z._default(z.number().check(z.gte(0)), 0.01),
});

type LearnedRoundingOptions = z.output<typeof learnedRoundingOptions>;

/** @example await applyPass(model, learnedRounding, {}, { engine, samples }) // then static */
export const learnedRounding = definePass({
  name: 'learned-rounding',
  summary: 'Rounds weights up or down by what changes the outputs of their layer least on samples.',
  options: learnedRoundingOptions,
  async run(model, options, context) {
    return eachLayerWithMoments(
      model,
      'learned-rounding',
      options,
      context,
      async (layer, report, moments) => {
        const { error, nearestError } = await roundLayer(layer, moments, options);
        const gain = error > 0 ? 10 * Math.log10(nearestError / error) : 0;
        report.change(layer.linear.node, `rounded by samples, output error -${gain.toFixed(1)} dB`);
      },
    );
  },
});

async function roundLayer(
  { linear, layout }: Layer,
  { means, covariances }: InputMoments,
  options: LearnedRoundingOptions,
): Promise<{ error: number; nearestError: number }> {
  const { perChannel, damping, scales } = options;
  const { weight } = linear;
  const { outChannels } = linear.layout;
  const { groups, features } = layout;
  const floats = await floatArray(weight);
  const rounded = new Float32Array(floats.length);
  const limit = limitOf(options);
  const indices = elementsByOutput(linear);
  const tensorPeak = perChannel ? -1 : largestAt(floats, floats.keys());
  const groupOf = (out: number) => Math.floor((out * groups) / outChannels);
  const rowOf = (out: number): ScaledRow => {
    const start = groupOf(out) * features * features;
    let trace = 0;
    for (let i = 0; i < features; i++) trace += covariances[start + i * features + i]!;
    const weights = Float64Array.from(indices[out]!, (i) => floats[i]!);
    return { weights, covariance: covariances, start, damping: (damping * trace) / features };
  };
  const share = (rows: readonly ScaledRow[]) =>
    scales === 'search' ? searchScale(rows, limit) : 1;
  const tensorShare = perChannel ? 1 : share(indices.map((_, out) => rowOf(out)));
  const shift = new Float64Array(outChannels);
  const total = { error: 0, nearestError: 0 };
  for (let out = 0; out < outChannels; out++) {
    const elements = indices[out]!;
    const row = rowOf(out);
    const peak = perChannel ? largestAt(floats, elements) : tensorPeak;
    const kept = perChannel ? share([row]) : tensorShare;
    const scale = Math.fround((kept * Math.abs(floats[peak]!)) / limit);
    // A row of zeros, or too small for a scale: as `static` has it, nothing to choose.
    if (!(scale > 2 ** -126)) {
      for (const i of elements) rounded[i] = floats[i]!;
      continue;
    }
    const result = roundRow({
      ...row,
      covariance: covariances,
      scale,
      limit,
      fixed: elements.indexOf(peak),
    });
    for (let i = 0; i < features; i++) {
      const value = Math.fround(result.codes[i]! * scale);
      rounded[elements[i]!] = value;
      shift[out]! += (value - row.weights[i]!) * means[groupOf(out) * features + i]!;
    }
    total.error += result.error;
    total.nearestError += result.nearestError;
  }
  const bias = await linear.bias.read();
  setConstantInput(linear.node, linear.weightIndex, Tensor.of('float', weight.dims, rounded));
  const corrected = shift.map((s, out) => (bias?.[out] ?? 0) - linear.alpha * s);
  linear.bias.write(Tensor.of('float', [outChannels], corrected));
  return total;
}
