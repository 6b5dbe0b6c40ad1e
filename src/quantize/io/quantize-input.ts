/**
 * Lets a model take raw uint8 or int8 tensors, such as pictures as they are: the preprocessing
 * (scale, mean, std, layout) becomes scale and zero point of the input, and what differs between
 * channels goes into the first layer. Run it before `static`, which then sees the weights that
 * run; `fuse-input` after it feeds the integer kernels directly. Alone it works on float models.
 *
 * Approaches tried for per-channel means in front of a padded convolution (uint8 NCHW, `static`
 * behind it, 100 samples to calibrate, flips against float over 400 pictures for MobileNetV2 and
 * 1,000 for ResNet-20; with a float input 6.5 % and 1.5 %):
 * - a constant channel ('exact'): 5.0 % and 1.1 %, as fast as with a float input;
 * - a zero point at the middle of the means ('nearest'): 5.8 % and 0.6 %, but even the float model
 *   is only at 50 and 36 dB;
 * - Mul and Add in front ('float'): 4.3 % and 1.3 %, exact, with a float pass over the picture.
 * The flips of all three are within noise of each other, so the exact one without a float pass is
 * the default.
 */
import { PareError } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import { raiseOpset } from '../../graph/opset/upgrade.js';
import type { Value } from '../../graph/value.js';
import { type Dim, tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { definePass, type PassContext, ReportBuilder } from '../../pass.js';
import { applyInFloat, foldIntoFirstLayer, transposeRaw } from './first-layer.js';
import { fusePairs } from './fuse-input.js';
import { describeInput, type InputSpec, plainDims, writeInputSpec } from './input-spec.js';
import { measureInputChange } from './measure-input.js';
import { type QuantizeInputOptions, quantizeInputOptions } from './options.js';
import { isWhole, type RawAffine, type RawScale, rawRange, rawScale } from './raw-scale.js';

/**
 * @example
 * const { model } = await applyPass(float, quantizeInput, { layout: 'NHWC', ...imagenet });
 * const { model: small } = await applyPass(model, staticScheme, { ranges: inputRanges(model) },
 *   { engine, samples: samplesFor(model, samples) });
 * const { model: fused } = await applyPass(small, fuseInput, {});
 */
export const quantizeInput = definePass({
  name: 'quantize-input',
  summary: 'Takes raw uint8 or int8 tensors: preprocessing folds into the model.',
  options: quantizeInputOptions,
  async run(model, options, context) {
    const report = new ReportBuilder();
    // Before anything changes: a wrong name or shape must not cost a conversion.
    const place = placeOf(chooseInput(model, options.input), options);
    const before = isMeasured(options, context) ? cloneModel(model) : undefined;
    // Pad of integers came with opset 11, DequantizeLinear as ONNX Runtime fuses it with 13.
    report.notes.push(...(await raiseOpset(model, 13, context)).notes);
    const spec = await rewrite(model, place, options, report);
    writeInputSpec(model, spec);
    report.note(`feed "${spec.name}" with ${describeInput(spec)}`);
    if (before) report.note(await measureInputChange(before, model, [spec], options, context));
    return report;
  },
});

const isMeasured = ({ samples }: QuantizeInputOptions, context: PassContext) =>
  samples > 0 && context.engine !== undefined && context.samples !== undefined;

/** The input and how its axes lie, before and after. */
interface Place {
  readonly input: Value;
  readonly rank: number | undefined;
  readonly affine: RawAffine;
  /** Axis of the channels in the float input; undefined where it is not needed or not known. */
  readonly channelAxis: number | undefined;
  readonly layout: 'NCHW' | 'NHWC' | undefined;
  /** Axis i of the tensor to feed is axis `axes[i]` of the float input. */
  readonly axes: readonly number[] | undefined;
}

function chooseInput(model: Model, name: string | undefined): Value {
  const open = model.graph.inputs.filter(({ initializer }) => !initializer);
  const floats = open.filter(({ dataType }) => dataType === 'float');
  const pictures = floats.filter(({ dims }) => dims?.length === 4);
  const candidates =
    name === undefined
      ? floats.length === 1
        ? floats
        : pictures
      : floats.filter((input) => input.name === name);
  if (candidates.length === 1) return candidates[0]!;
  const all = open.map((input) => `"${input.name}" ${input.dataType ?? 'of unknown type'}`);
  throw new PareError(
    'usage',
    name === undefined
      ? `quantize-input: ${floats.length} of the inputs are float32, one is wanted: ${all.join(', ')}`
      : `quantize-input: "${name}" is no float32 input of the model: ${all.join(', ')}`,
    { hint: 'choose the input by its name (option input)' },
  );
}

function placeOf(input: Value, options: QuantizeInputOptions): Place {
  const list = (each: number | readonly number[] | undefined, otherwise: number) => {
    const numbers = typeof each === 'object' ? [...each] : [each ?? otherwise];
    // Means come in RGB order whatever the model wants, as in src/data.
    return options.colorOrder === 'BGR' ? numbers.reverse() : numbers;
  };
  const affine = {
    scale: options.scale ?? 1,
    mean: list(options.mean, 0),
    std: list(options.std, 1),
  };
  if (affine.scale === 0) throw new PareError('usage', 'quantize-input: scale is 0');
  const counts = [affine.mean.length, affine.std.length].filter((count) => count > 1);
  const rank = input.dims?.length;
  const channelAxis = channelAxisOf(input, counts[0]);
  if (counts.length > 0 || (options.layout && rank === 4)) {
    const size = channelAxis === undefined ? undefined : input.dims?.[channelAxis];
    if (channelAxis === undefined || counts.some((n) => typeof size === 'number' && size !== n)) {
      throw new PareError(
        'usage',
        `quantize-input: the channel axis of "${input.name}" [${input.dims ?? '?'}] is not known, or has not the ${counts[0] ?? 'expected'} entries of mean and std`,
        { hint: 'give one number for all channels, or one per channel' },
      );
    }
  }
  if (options.layout && rank !== 4) {
    throw new PareError(
      'usage',
      `quantize-input: layout is ${options.layout}, but "${input.name}" has ${rank ?? 'unknown'} dims, not 4`,
    );
  }
  const own = rank === 4 ? (channelAxis === 3 ? 'NHWC' : 'NCHW') : undefined;
  const layout = options.layout ?? (channelAxis === undefined ? undefined : own);
  const axes = layout === own ? undefined : layout === 'NHWC' ? [0, 2, 3, 1] : [0, 3, 1, 2];
  return { input, rank, affine, channelAxis, layout, axes: layout && axes };
}

/** By the first node where it tells (a layer, or a Transpose to one), by the dims otherwise. */
function channelAxisOf(input: Value, count: number | undefined): number | undefined {
  const rank = input.dims?.length;
  if (rank === undefined || rank < 2) return undefined;
  if (rank === 4) {
    const perm = leadingTranspose(input)?.perm;
    if (perm) return perm[1];
    const fits = (axis: number) => {
      const dim = input.dims?.[axis];
      return count === undefined ? dim === 1 || dim === 3 || dim === 4 : dim === count;
    };
    return fits(1) || !fits(3) ? 1 : 3;
  }
  // Features: several means belong to the last axis or the first after the batch.
  return [rank - 1, 1].find((axis) => input.dims?.[axis] === count);
}

/** The Transpose that alone takes the input: it can as well move the raw integers. */
function leadingTranspose(input: Value) {
  const node = input.onlyUse?.node;
  if (node?.op !== 'Transpose') return undefined;
  const rank = input.dims?.length ?? 0;
  const reversed = Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  return { node, perm: node.ints('perm', reversed) };
}

async function rewrite(
  model: Model,
  place: Place,
  options: QuantizeInputOptions,
  report: ReportBuilder,
): Promise<InputSpec> {
  const { input, affine, axes, layout } = place;
  const { dataType } = options;
  const scaled = rawScale(affine, dataType);
  const floatDims = input.dims;
  const fedDims = axes ? axes.map((axis) => floatDims?.[axis]) : floatDims;
  const { value, channelAxis } = dequantizeInput(model, place, scaled, options, fedDims);
  await foldRest(value, scaled, channelAxis, options, report);
  const fused = await fusePairs(model, value);
  report.changed.push(...fused.changed);
  report.skipped.push(...fused.skipped);
  const fedAxis = (axis: number) => (axes ? axes.indexOf(axis) : axis);
  const isPicture = place.rank === 4 && layout !== undefined;
  return {
    name: input.name,
    dataType,
    dims: plainDims(fedDims),
    layout: isPicture ? layout : null,
    colorOrder: options.colorOrder ?? (isPicture ? colorsOf(floatDims, place.channelAxis) : null),
    channelAxis: place.channelAxis === undefined ? null : fedAxis(place.channelAxis),
    range: rawRange(dataType),
    folded: affine,
    axes: axes ?? null,
    scale: scaled.scale,
    zeroPoint: scaled.zeroPoint,
    value: value.name,
  };
}

function colorsOf(dims: readonly Dim[] | undefined, axis: number | undefined) {
  const channels = axis === undefined ? undefined : dims?.[axis];
  return channels === 3 ? 'RGB' : channels === 1 ? 'gray' : null;
}

/** input -> Transpose, where axes move -> DequantizeLinear -> all who took the float input. */
function dequantizeInput(
  model: Model,
  { input, axes, channelAxis }: Place,
  { scale, zeroPoint }: RawScale,
  { dataType }: QuantizeInputOptions,
  fedDims: readonly Dim[] | undefined,
): { value: Value; channelAxis: number | undefined } {
  const { graph } = model;
  const transpose = leadingTranspose(input);
  // A graph output keeps its name and type, so the Transpose that makes one stays where it is.
  const moved = transpose && !transpose.node.output().isOutput ? transpose : undefined;
  const target = moved ? moved.node.output() : input;
  const { uses } = target;
  const type = tensorType('float', target.dims);
  const first = graph.nodes.first;
  // From the fed axes back to those of the float input, then as the model's own Transpose goes.
  const back = axes?.map((_, axis) => axes.indexOf(axis));
  const perm = moved ? moved.perm.map((axis) => back?.[axis] ?? axis) : back;
  const isMoving = perm?.some((axis, at) => axis !== at) ?? false;
  input.type = tensorType(dataType, fedDims);
  const raw = isMoving ? transposeRaw(input, perm!, first) : input;
  const dequantize = graph.addNode(
    {
      opType: 'DequantizeLinear',
      name: graph.freshNodeName(`${input.name}_DequantizeLinear`),
      inputs: [
        raw,
        graph.addInitializer(`${input.name}_scale`, Tensor.scalar('float', scale)),
        graph.addInitializer(`${input.name}_zero_point`, Tensor.scalar(dataType, zeroPoint)),
      ],
      outputs: [graph.freshName(`${input.name}_dequantized`)],
    },
    isMoving ? { after: raw.producer! } : first && { before: first },
  );
  const value = dequantize.output();
  value.type = type;
  for (const { node, index } of uses) node.setInput(index, value);
  if (moved) graph.removeNode(moved.node);
  return { value, channelAxis: moved ? 1 : channelAxis };
}

async function foldRest(
  value: Value,
  scaled: RawScale,
  channelAxis: number | undefined,
  { border, dataType }: QuantizeInputOptions,
  report: ReportBuilder,
): Promise<void> {
  const dequantize = value.producer!;
  const parameters = `${dataType}, scale ${scaled.scale}, zero point ${scaled.zeroPoint}`;
  report.change(dequantize, parameters);
  if (isWhole(scaled)) {
    report.note('preprocessing is the scale and zero point of the input: exact');
    return;
  }
  const folded =
    border === 'float'
      ? 'left in float by the option border'
      : await foldIntoFirstLayer(value, scaled, dataType, border);
  if (typeof folded === 'string') {
    applyInFloat(value, scaled, channelAxis ?? null);
    report.skip(dequantize, `preprocessing stays in float (exact, but slower): ${folded}`);
    return;
  }
  report.change(folded.node, folded.what);
  report.note(
    folded.isExact
      ? 'preprocessing is folded exactly, up to float32 rounding'
      : `preprocessing is folded, but at the border padding stands for raw ${scaled.zeroPoint} in every channel, up to ${largestShift(scaled)} off in the units of the float input`,
  );
}

function largestShift({ shift }: RawScale): string {
  return shift.reduce((most, each) => Math.max(most, Math.abs(each)), 0).toPrecision(3);
}
