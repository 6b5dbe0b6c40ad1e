/**
 * Reads a Hugging Face `preprocessor_config.json` of an image processor as pare's options.
 * Only translates: what pare cannot do the same way is refused by name, not left out.
 * Keys: https://huggingface.co/docs/transformers/main_classes/image_processor
 */
import { PareError } from '../errors.js';

type Config = Readonly<Record<string, unknown>>;

const signs = [
  'image_processor_type',
  'feature_extractor_type',
  'processor_class',
  'image_mean',
  'do_resize',
  'do_normalize',
  'do_rescale',
];

/** True when the object has a key that only such a file has. */
export function isHuggingFaceConfig(config: Config): boolean {
  return signs.some((key) => key in config);
}

/**
 * The same steps as options. Rules where the files differ by age: an integer `size` is the
 * shorter side when a centre crop follows, else both sides; `do_rescale` absent means 1/255.
 * Throws a `usage` PareError for audio processors, padding and filters pare has not.
 *
 * @example
 * fromHuggingFace({ do_resize: true, size: { height: 224, width: 224 }, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] });
 */
export function fromHuggingFace(config: Config): Record<string, unknown> {
  const type = String(config.image_processor_type ?? config.feature_extractor_type ?? '');
  if ('sampling_rate' in config || 'padding_value' in config) {
    throw refuse(`"${type || 'this processor'}" makes features of audio`);
  }
  if (config.do_pad === true) throw refuse('do_pad is set');
  const options: Record<string, unknown> = {};
  const crops = config.do_center_crop === true && config.crop_size != null;
  if (config.do_resize !== false && config.size != null) resizing(config, type, crops, options);
  if (crops) options.crop = bothSides(config.crop_size, 'crop_size');

  const scale = config.do_rescale === false ? 1 : numberOr(config.rescale_factor, 1 / 255);
  options.scale = scale;
  // EfficientNet's processors shift bytes to -1..1 by subtracting 1 after scaling.
  const offset = config.rescale_offset === true ? 1 : 0;
  const normalizes = config.do_normalize !== false && config.image_mean != null;
  const mean = normalizes ? numbers(config.image_mean, 'image_mean') : [0];
  const std = normalizes ? numbers(config.image_std ?? 1, 'image_std') : [1];
  if (normalizes || offset !== 0) {
    options.mean = mean.map((m) => m + offset);
    options.std = config.include_top === true ? std.map((s) => s * s) : std;
    if (!normalizes) {
      options.mean = offset;
      options.std = 1;
    }
  }
  if (config.do_flip_channel_order === true) options.colorOrder = 'BGR';
  if (config.do_grayscale === true) options.colorOrder = 'gray';
  return options;
}

function resizing(
  config: Config,
  type: string,
  crops: boolean,
  options: Record<string, unknown>,
): void {
  const filters: Record<number, string> = {
    0: 'nearest',
    1: 'lanczos',
    2: 'bilinear',
    3: 'bicubic',
  };
  const resample = numberOr(config.resample, 2);
  options.interpolation = filters[resample];
  if (!options.interpolation) throw refuse(`resample is ${resample}, pare has 0, 1, 2 and 3`);
  const size = config.size;
  const shortest = isRecord(size) ? size.shortest_edge : crops ? size : undefined;
  if (typeof shortest === 'number') {
    if (isRecord(size) && typeof size.longest_edge === 'number') {
      throw refuse('size limits the longest edge too');
    }
    options.resize = shortest;
    // Two processors resize to more than their size and cut the rest off.
    if (/^Levit/i.test(type)) options.resize = Math.floor((256 / 224) * shortest);
    if (/^ConvNext/i.test(type)) convNext(config, shortest, options);
  } else {
    options.resize = bothSides(size, 'size');
  }
}

/** ConvNeXT: below 384 pixels resize to size / crop_pct and crop; from 384 on squash to size. */
function convNext(config: Config, size: number, options: Record<string, unknown>): void {
  if (size >= 384) {
    options.resize = [size, size];
    return;
  }
  options.resize = Math.floor(size / numberOr(config.crop_pct, 224 / 256));
  options.crop = [size, size];
}

function bothSides(value: unknown, key: string): [number, number] {
  if (typeof value === 'number') return [value, value];
  if (isRecord(value) && typeof value.height === 'number' && typeof value.width === 'number') {
    return [value.height, value.width];
  }
  if (isRecord(value) && typeof value.shortest_edge === 'number') {
    return [value.shortest_edge, value.shortest_edge];
  }
  throw refuse(`${key} is ${JSON.stringify(value)}`);
}

function numbers(value: unknown, key: string): number[] {
  const list = Array.isArray(value) ? value : [value];
  if (list.length > 0 && list.every((x) => typeof x === 'number')) return list;
  throw refuse(`${key} is ${JSON.stringify(value)}`);
}

const numberOr = (value: unknown, otherwise: number) =>
  typeof value === 'number' ? value : otherwise;

const isRecord = (value: unknown): value is Config => typeof value === 'object' && value !== null;

function refuse(what: string): PareError {
  return new PareError('usage', `preprocess: preprocessor_config.json: ${what}`, {
    hint: 'give the steps as JSON (resize, crop, scale, mean, std, layout), or prepared arrays as npz',
  });
}
