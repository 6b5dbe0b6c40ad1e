/**
 * How a model with a raw input is fed: the record in its metadata under `pare.input`, the ranges
 * that calibration takes from it, and samples in the one form turned into the other. Changes no
 * model but for that record.
 */
import type { Feeds, HostTensor } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Dim } from '../../graph/value-type.js';
import { elementCount } from '../../onnx/data-type.js';
import { roundHalfEven } from '../integers.js';
import type { RawType } from './raw-scale.js';

export const inputKey = 'pare.input';

/** Plain JSON: what a caller must know to feed one input. */
export interface InputSpec {
  readonly name: string;
  readonly dataType: RawType;
  /** Dims of the tensor to feed; null where unknown, a name where symbolic. */
  readonly dims: readonly (number | string | null)[];
  /** Null where the tensor is no picture. */
  readonly layout: 'NCHW' | 'NHWC' | null;
  readonly colorOrder: 'RGB' | 'BGR' | 'gray' | null;
  /** Axis of the tensor to feed that holds the channels; null where all are treated alike. */
  readonly channelAxis: number | null;
  /** Lowest and highest value, all of them meaningful. */
  readonly range: readonly [number, number];
  /** What the model does itself now: value = (raw * scale - mean) / std, in the order of its channels. */
  readonly folded: {
    readonly scale: number;
    readonly mean: readonly number[];
    readonly std: readonly number[];
  };
  /** Axis i of the tensor to feed was axis `axes[i]` of the float input; null where none moved. */
  readonly axes: readonly number[] | null;
  /** Scale and zero point of the fed integers inside the model. */
  readonly scale: number;
  readonly zeroPoint: number;
  /** The value in the graph that holds the dequantized input. */
  readonly value: string;
}

/** The inputs of the model that take raw integers; none where no pass made any. */
export function readInputSpecs(model: Model): readonly InputSpec[] {
  const text = model.metadata.get(inputKey);
  return text === undefined ? [] : (JSON.parse(text) as InputSpec[]);
}

export function writeInputSpec(model: Model, spec: InputSpec): void {
  const others = readInputSpecs(model).filter(({ name }) => name !== spec.name);
  model.metadata.set(inputKey, JSON.stringify([...others, spec]));
}

/**
 * Ranges that make static quantization give these values the scale and zero point that their
 * integers have already, by value name: for the option `ranges` of the static scheme.
 */
export function inputRanges(model: Model): Record<string, { min: number; max: number }> {
  const ranges: Record<string, { min: number; max: number }> = {};
  for (const { value, range, scale, zeroPoint } of readInputSpecs(model)) {
    const at = (raw: number) => (raw - zeroPoint) * scale;
    ranges[value] = { min: at(range[0]), max: at(range[1]) };
  }
  return ranges;
}

/** 'uint8 [N,224,224,3] NHWC RGB, 0 to 255, not normalized' */
export function describeInput(spec: InputSpec): string {
  const dims = spec.dims.map((dim) => dim ?? '?').join(',');
  const words = [`${spec.dataType} [${dims}]`, spec.layout, spec.colorOrder];
  const [low, high] = spec.range;
  return `${words.filter(Boolean).join(' ')}, values ${low} to ${high} as they are, not scaled`;
}

/**
 * Samples of the float model as feeds of this one: preprocessing is undone, which is exact for
 * values that came from integers. Feeds that are raw already, and other inputs, pass through.
 *
 * Throws `data-mismatch` for a value that no integer gives: the samples were preprocessed in
 * another way than the one that was folded.
 */
export function rawFeeds(specs: readonly InputSpec[], feeds: Feeds): Feeds {
  const out: Record<string, HostTensor> = { ...feeds };
  for (const spec of specs) {
    const tensor = feeds[spec.name];
    if (!tensor || tensor.dataType === spec.dataType) continue;
    out[spec.name] = permute(toRaw(spec, tensor), spec.axes);
  }
  return out;
}

/** The other way: feeds of the model with the raw input as feeds of the float one. */
export function floatFeeds(specs: readonly InputSpec[], feeds: Feeds): Feeds {
  const out: Record<string, HostTensor> = { ...feeds };
  for (const spec of specs) {
    const tensor = feeds[spec.name];
    if (!tensor || tensor.dataType !== spec.dataType) continue;
    const { axes } = spec;
    const back = axes?.map((_, axis) => axes.indexOf(axis));
    const raw = permute(tensor, back);
    const { folded } = spec;
    const values = Float32Array.from(raw.data as Uint8Array);
    eachChannel(spec, raw.dims, folded, (at, mean, std) => {
      values[at] = (values[at]! * folded.scale - mean) / std;
    });
    out[spec.name] = { dataType: 'float', dims: raw.dims, data: values };
  }
  return out;
}

/** A source of samples for this model made of one for the float model, or of raw samples. */
export function samplesFor(
  model: Model,
  samples: () => AsyncIterable<Feeds>,
): () => AsyncIterable<Feeds> {
  const specs = readInputSpecs(model);
  if (specs.length === 0) return samples;
  return async function* () {
    for await (const feeds of samples()) yield rawFeeds(specs, feeds);
  };
}

/** How far from a whole number a raw value may come out, in raw steps. */
const tolerance = 0.02;

function toRaw(spec: InputSpec, tensor: HostTensor): HostTensor {
  const { folded, range, dataType, name } = spec;
  const floats = float32Of(tensor);
  const out = dataType === 'uint8' ? new Uint8Array(floats.length) : new Int8Array(floats.length);
  eachChannel(spec, tensor.dims, folded, (at, mean, std) => {
    const exact = (floats[at]! * std + mean) / folded.scale;
    const raw = roundHalfEven(exact);
    if (!(Math.abs(exact - raw) <= tolerance && raw >= range[0] && raw <= range[1])) {
      throw new PareError(
        'data-mismatch',
        `quantize-input: the value ${floats[at]} (element ${at} of "${name}") would be ${exact} as a raw ${dataType}`,
        { hint: 'scale, mean and std must be those that the samples were prepared with' },
      );
    }
    out[at] = raw;
  });
  return { dataType, dims: tensor.dims, data: out };
}

/** Calls back for every element of a tensor in the layout of the float model. */
function eachChannel(
  { axes, channelAxis }: InputSpec,
  dims: readonly number[],
  { mean, std }: InputSpec['folded'],
  visit: (at: number, mean: number, std: number) => void,
): void {
  const axis = channelAxis === null ? undefined : (axes?.[channelAxis] ?? channelAxis);
  const inner = axis === undefined ? 1 : elementCount(dims.slice(axis + 1));
  const channels = axis === undefined ? 1 : dims[axis]!;
  const total = elementCount(dims);
  for (let at = 0; at < total; at++) {
    const channel = Math.floor(at / inner) % channels;
    visit(at, mean[mean.length === 1 ? 0 : channel]!, std[std.length === 1 ? 0 : channel]!);
  }
}

/** Axis i of the result is axis `axes[i]` of the tensor. */
function permute(tensor: HostTensor, axes: readonly number[] | null | undefined): HostTensor {
  if (!axes) return tensor;
  const { dims } = tensor;
  const from = tensor.data as Uint8Array;
  const data = from.slice();
  const strides = dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
  const to = axes.map((axis) => dims[axis]!);
  const index = to.map(() => 0);
  for (let at = 0; at < data.length; at++) {
    let source = 0;
    for (let i = 0; i < axes.length; i++) source += index[i]! * strides[axes[i]!]!;
    data[at] = from[source]!;
    for (let i = to.length - 1; i >= 0 && ++index[i]! === to[i]; i--) index[i] = 0;
  }
  return { dataType: tensor.dataType, dims: to, data };
}

/** Dims as JSON has them. */
export function plainDims(dims: readonly Dim[] | undefined): (number | string | null)[] {
  return (dims ?? []).map((dim) => dim ?? null);
}
