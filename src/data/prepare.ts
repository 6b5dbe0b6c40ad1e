/**
 * One raw array or picture to the tensor that a model's input wants: resize, crop, numbers,
 * colours, layout, shape, type, in that order. Where the options are silent the input decides:
 * gray for one channel, NCHW or NHWC by the place of the channel dim, sizes of 1 put in.
 */
import type { HostTensor, PortInfo } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { elementCount, type TypedArray } from '../onnx/data-type.js';
import { castTensor, toNumbers } from './convert.js';
import { describePort, fitDims } from './fit-input.js';
import { centerCrop, type Image, toColor } from './image.js';
import { normalize, reverseAxis, transpose } from './normalize.js';
import { isIdentity, type Preprocess } from './preprocess.js';
import { resizedSize, resizeImage } from './resize.js';

export interface RawValue {
  readonly tensor: HostTensor;
  /** A decoded picture, HWC bytes: alpha is dropped and colours follow the model's input. */
  readonly isImage: boolean;
}

/**
 * @param port the model's input; undefined when the model is not known: then pictures become
 *   float NCHW and arrays keep their shape and type.
 * @param id the sample, for messages.
 * Throws `data-mismatch`, with both shapes, when the result does not fit.
 */
export function prepare(
  { tensor, isImage }: RawValue,
  options: Preprocess,
  port: PortInfo | undefined,
  id: string,
): HostTensor {
  let value = isImage ? recolor(tensor, wantedColor(options, port)) : tensor;
  if (options.resize != null || options.crop != null) value = reframe(value, options, id);
  if (options.length != null) value = setLength(value, options.length, id);
  const channelAxis = findChannelAxis(value.dims);
  if (!isIdentity(options)) value = normalized(value, channelAxis, options, id);
  if (!isImage || options.colorOrder === 'BGR') value = reorder(value, channelAxis, options, id);
  const placed = place(value, isImage, options, port);
  if (placed === undefined) throw mismatch(tensor, value, isImage, options, port!, id);
  const dataType = port ? (port.dataType ?? 'float') : isImage ? 'float' : placed.dataType;
  return castTensor(placed, dataType, id);
}

/** Gray when the options say so or the input has a channel dim of 1 and none of 3. */
function wantedColor({ colorOrder }: Preprocess, port: PortInfo | undefined): 'RGB' | 'gray' {
  if (colorOrder) return colorOrder === 'gray' ? 'gray' : 'RGB';
  const dims = port?.dims;
  if (dims?.length !== 4) return 'RGB';
  const has = (channels: number) => dims[1] === channels || dims[3] === channels;
  return has(1) && !has(3) ? 'gray' : 'RGB';
}

function recolor(tensor: HostTensor, wanted: 'RGB' | 'gray'): HostTensor {
  return fromImage(toColor(asImage(tensor) as Image, wanted));
}

/** The axis of colours: the last of [h,w,c], the first of [c,h,w], for c of 1 or 3, else 4. */
function findChannelAxis(dims: readonly number[]): number | undefined {
  if (dims.length !== 3) return undefined;
  const isChannels = (dim: number | undefined) => dim === 1 || dim === 3;
  if (isChannels(dims[2])) return 2;
  if (isChannels(dims[0])) return 0;
  return dims[2] === 4 ? 2 : dims[0] === 4 ? 0 : undefined;
}

function asImage({ dims, data }: HostTensor): Image<Uint8Array | Float32Array> {
  const [height, width, channels] = dims as [number, number, number];
  return { height, width, channels, data: data as Uint8Array | Float32Array };
}

function fromImage({
  height,
  width,
  channels,
  data,
}: Image<Uint8Array | Float32Array>): HostTensor {
  const dataType = data instanceof Uint8Array ? 'uint8' : 'float';
  return { dataType, dims: [height, width, channels], data };
}

function reframe(value: HostTensor, options: Preprocess, id: string): HostTensor {
  const picture = toPicture(value);
  if (!picture) {
    throw new PareError(
      'data-mismatch',
      `data: the preprocessing resizes or crops, but sample "${id}" is ${value.dataType} [${value.dims}], not a picture [h,w,c]`,
      { hint: 'take it away with "resize":null,"crop":null; "length" cuts sound' },
    );
  }
  let image = picture;
  if (options.resize != null) {
    const size = resizedSize(image, options.resize);
    image = resizeImage(image, size, options.interpolation, options.antialias);
  }
  if (options.crop != null) {
    const { crop } = options;
    image = centerCrop(image, typeof crop === 'number' ? [crop, crop] : crop, `sample "${id}"`);
  }
  return fromImage(image);
}

/** An array as HWC, bytes as they are and other numbers as floats; [h,w] is gray. */
function toPicture(value: HostTensor): Image<Uint8Array | Float32Array> | undefined {
  const data = value.dataType === 'uint8' ? value.data : Float32Array.from(toNumbers(value));
  if (value.dims.length === 2)
    return asImage({ ...value, dims: [...value.dims, 1], data: data as TypedArray });
  const axis = findChannelAxis(value.dims);
  if (axis === undefined) return undefined;
  const hwc = axis === 2 ? { ...value, data } : moveChannels({ ...value, data }, 'last');
  return asImage(hwc as HostTensor);
}

function setLength(value: HostTensor, length: number, id: string): HostTensor {
  if (value.dims.length !== 1) {
    throw new PareError(
      'data-mismatch',
      `data: "length" is for one-dimensional samples, sample "${id}" has shape [${value.dims}]`,
    );
  }
  const from = value.data as Float32Array;
  const data = new (from.constructor as typeof Float32Array)(length);
  data.set(from.subarray(0, length));
  return { dataType: value.dataType, dims: [length], data };
}

function normalized(
  value: HostTensor,
  channelAxis: number | undefined,
  { scale = 1, mean = 0, std = 1 }: Preprocess,
  id: string,
): HostTensor {
  const list = (x: number | readonly number[]) => (typeof x === 'number' ? [x] : x);
  const affine = { scale, mean: list(mean), std: list(std) };
  const counts = [affine.mean.length, affine.std.length].filter((count) => count > 1);
  // Without a picture's channels, several means belong to the last axis (features) or the first.
  const axes = channelAxis !== undefined ? [channelAxis] : [value.dims.length - 1, 0];
  const axis = axes.find((axis) => counts.every((count) => value.dims[axis] === count));
  if (axis === undefined) {
    const shape = `sample "${id}" of shape [${value.dims}]`;
    throw new PareError(
      'data-mismatch',
      `data: "mean" or "std" has ${counts[0]} entries, which is the size of no channel axis of ${shape}`,
      { hint: 'give one number, or one per channel' },
    );
  }
  const data = normalize(toNumbers(value), value.dims, axis, affine);
  return { dataType: 'float', dims: value.dims, data };
}

/** RGB to BGR on any picture; arrays that are to be gray must have come so. */
function reorder(
  value: HostTensor,
  channelAxis: number | undefined,
  { colorOrder }: Preprocess,
  id: string,
): HostTensor {
  if (colorOrder === undefined || colorOrder === 'RGB') return value;
  const channels = channelAxis === undefined ? undefined : value.dims[channelAxis];
  if (colorOrder === 'gray' && (channels === 1 || value.dims.length === 2)) return value;
  if (colorOrder === 'gray' || channels !== 3) {
    throw new PareError(
      'data-mismatch',
      `data: "colorOrder" is ${colorOrder}, but sample "${id}" is an array of shape [${value.dims}]`,
      { hint: 'BGR needs three channels; gray is made from image files only' },
    );
  }
  const data = reverseAxis(value.data as TypedArray, value.dims, channelAxis!);
  return { ...value, data };
}

/** HWC to CHW ('first') or back ('last'). */
function moveChannels(value: HostTensor, to: 'first' | 'last'): HostTensor {
  const [a, b, c] = value.dims as [number, number, number];
  const data = value.data as TypedArray;
  return to === 'first'
    ? { ...value, dims: [c, a, b], data: transpose(data, a * b, c) }
    : { ...value, dims: [b, c, a], data: transpose(data, a, b * c) };
}

/** The first arrangement of the axes that fits the input, reshaped and with sizes of 1 put in. */
function place(
  value: HostTensor,
  isImage: boolean,
  options: Preprocess,
  port: PortInfo | undefined,
): HostTensor | undefined {
  for (const move of arrangements(value, isImage, options, port)) {
    const [a, b, c] = value.dims as [number, number, number];
    const moved = move === undefined ? value.dims : move === 'first' ? [c, a, b] : [b, c, a];
    const shaped = options.shape ?? moved;
    if (elementCount(shaped) !== elementCount(moved)) continue;
    const dims = fitDims(shaped, port?.dims);
    if (dims) return { ...(move ? moveChannels(value, move) : value), dims };
  }
  return undefined;
}

type Move = 'first' | 'last' | undefined;

function arrangements(
  { dims, dataType }: HostTensor,
  isImage: boolean,
  { layout }: Preprocess,
  port: PortInfo | undefined,
): readonly Move[] {
  const axis = findChannelAxis(dims);
  if (axis === undefined) return [undefined];
  const move: Move = axis === 2 ? 'first' : 'last';
  const isWanted = (layout === 'NCHW') === (axis === 0);
  if (layout) return [isWanted ? undefined : move];
  const rank = port?.dims?.length;
  if (rank === undefined) return [isImage ? move : undefined];
  if (rank !== 4 && rank !== 3) return [undefined];
  // Pictures lie as HWC whatever their size; other arrays may have come in the model's layout.
  const isPicture = isImage || (dataType === 'uint8' && axis === 2);
  return isPicture ? [move, undefined] : [undefined, move];
}

function mismatch(
  raw: HostTensor,
  value: HostTensor,
  isImage: boolean,
  options: Preprocess,
  port: PortInfo,
  id: string,
): PareError {
  const shape = options.shape ? `, "shape" [${options.shape}]` : '';
  const layout = options.layout ? `, layout ${options.layout}` : '';
  const from = `${raw.dataType} [${raw.dims}]`;
  const became =
    `${value.dims}` === `${raw.dims}` ? '' : `, [${value.dims}] after resizing and cropping`;
  const known = (port.dims ?? []).filter((dim) => typeof dim === 'number' && dim > 4);
  const resize = known.length >= 2 ? `{"resize":[${known.slice(-2)}]}` : '{"resize":[h,w]}';
  return new PareError(
    'data-mismatch',
    `data: sample "${id}" is ${from}${became}${layout}${shape}; the model's input is ${describePort(port)}`,
    {
      hint:
        isImage || findChannelAxis(value.dims) !== undefined
          ? `set the size, for example --preprocess '${resize}', or "layout", or "colorOrder"`
          : 'set "shape" (dims of one sample) or "length" in the preprocessing',
    },
  );
}
