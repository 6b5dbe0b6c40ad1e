/**
 * What is done to a raw sample before a model sees it, as options: their schema, the parsing of
 * what a user gives (a preset's name, JSON, a Hugging Face processor), and their one-line text.
 * Touches no pixels: prepare.ts does the work.
 */
import * as z from 'zod/mini';
import { messageOf, PareError } from '../errors.js';
import { didYouMean } from './did-you-mean.js';
import { fromHuggingFace, isHuggingFaceConfig } from './huggingface-processor.js';
import { type PresetName, presetNames, presets } from './presets.js';

const size = z.int().check(z.positive());
const sizeOrPair = z.union([size, z.tuple([size, size])]);
const perChannel = z.union([z.number(), z.array(z.number()).check(z.minLength(1))]);
const nonZero = z.number().check(z.refine((x) => x !== 0, 'must not be 0'));

const fields = {
  resize: z.optional(z.nullable(sizeOrPair)),
  interpolation: z.optional(z.enum(['nearest', 'bilinear', 'bicubic', 'lanczos'])),
  antialias: z.optional(z.boolean()),
  crop: z.optional(z.nullable(sizeOrPair)),
  length: z.optional(z.nullable(size)),
  scale: z.optional(z.number()),
  mean: z.optional(perChannel),
  std: z.optional(z.union([nonZero, z.array(nonZero).check(z.minLength(1))])),
  colorOrder: z.optional(z.enum(['RGB', 'BGR', 'gray'])),
  layout: z.optional(z.enum(['NCHW', 'NHWC'])),
  shape: z.optional(z.nullable(z.array(size))),
  labelMap: z.optional(z.nullable(z.array(z.int().check(z.nonnegative())))),
};

/** The JSON form: every field of {@link Preprocess}, a preset to start from, and a free note. */
export const preprocessSchema = z.strictObject({
  preset: z.optional(z.string()),
  note: z.optional(z.string()),
  ...fields,
});

/**
 * A resolved preprocessing. In this order: decode; `resize`; centre `crop`; `length`;
 * value = (x * scale - mean) / std; colour order; layout; `shape`.
 */
export interface Preprocess {
  /** A number: the shorter side in pixels, aspect kept. [h, w]: exactly. */
  readonly resize?: number | readonly [number, number] | null | undefined;
  /** Default 'bilinear'. */
  readonly interpolation?: Interpolation | undefined;
  /** Widen the filter when shrinking, as Pillow and torchvision do. Default true. */
  readonly antialias?: boolean | undefined;
  /** Pixels around the centre: a square or [h, w]. */
  readonly crop?: number | readonly [number, number] | null | undefined;
  /** One-dimensional samples (audio): cut, or filled up with zeros at the end, to this many. */
  readonly length?: number | null | undefined;
  /** Factor on the raw values. Default 1. */
  readonly scale?: number | undefined;
  /** Subtracted after scaling; one number or one per channel, in RGB order. Default 0. */
  readonly mean?: number | readonly number[] | undefined;
  /** Divides last; one number or one per channel, in RGB order. Default 1. */
  readonly std?: number | readonly number[] | undefined;
  /** Channels as the model wants them. Default RGB, or gray where its input has one channel. */
  readonly colorOrder?: 'RGB' | 'BGR' | 'gray' | undefined;
  /** Layout that the model wants; images and arrays [h,w,c] are taken as HWC. Default: inferred. */
  readonly layout?: 'NCHW' | 'NHWC' | undefined;
  /** Dims of one sample, without the batch. */
  readonly shape?: readonly number[] | null | undefined;
  /** A label y becomes labelMap[y]: for models that number their classes otherwise. */
  readonly labelMap?: readonly number[] | null | undefined;
}

export type Interpolation = 'nearest' | 'bilinear' | 'bicubic' | 'lanczos';

/** A preset's name, JSON text, or an object: pare's own form or a `preprocessor_config.json`. */
export type PreprocessInput = PresetName | (string & {}) | Readonly<Record<string, unknown>>;

/**
 * Resolves what a user gave. Fields beside `preset` override the preset's; null takes one away.
 * Throws a `usage` PareError for an unknown preset or key and for values of the wrong kind.
 *
 * @example
 * parsePreprocess('imagenet');
 * parsePreprocess({ preset: 'imagenet', mean: [0.5, 0.5, 0.5] });
 */
export function parsePreprocess(input: PreprocessInput | undefined): Preprocess {
  if (input === undefined) return presets.raw;
  if (typeof input === 'string') {
    return input.trimStart().startsWith('{') ? parsePreprocess(parseJson(input)) : preset(input);
  }
  if (isHuggingFaceConfig(input)) return checked(fromHuggingFace(input));
  return checked(input);
}

function checked(input: object): Preprocess {
  const result = preprocessSchema.safeParse(input);
  if (!result.success) throw usageError(result.error.issues[0]!);
  const { preset: name, note: _note, ...own } = result.data;
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  return { ...(name === undefined ? {} : preset(name)), ...given };
}

function preset(name: string): Preprocess {
  if (Object.hasOwn(presets, name)) return presets[name as PresetName];
  const close = didYouMean(name, presetNames);
  throw new PareError('usage', `preprocess: there is no preset "${name}"`, {
    hint: `${close ? `did you mean "${close}"? ` : ''}presets: ${presetNames.join(', ')}; or give JSON, or a JSON file`,
  });
}

function parseJson(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PareError('usage', `preprocess: not valid JSON: ${messageOf(cause)}`, { cause });
  }
}

type Issue = z.core.$ZodIssue;

function usageError(issue: Issue): PareError {
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const known = Object.keys(preprocessSchema.shape);
    const close = didYouMean(key, known);
    return new PareError('usage', `preprocess: unknown key "${key}"`, {
      hint: `${close ? `did you mean "${close}"? ` : ''}keys: ${known.join(', ')}`,
    });
  }
  const path = issue.path.join('.');
  return new PareError('usage', `preprocess: ${path || 'options'}: ${expectation(path, issue)}`, {
    hint: 'for example {"resize":256,"crop":224,"scale":0.00392156862745098,"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}',
  });
}

/** zod says only "Invalid input" of a union: say what the field takes. */
function expectation(path: string, issue: Issue): string {
  const field = path.split('.')[0]!;
  const takes: Record<string, string> = {
    resize: 'a positive whole number of pixels, [height, width], or null',
    crop: 'a positive whole number of pixels, [height, width], or null',
    mean: 'a number or a list of numbers, one per channel',
    std: 'a number or a list of numbers, one per channel, none of them 0',
  };
  return takes[field] ? `expected ${takes[field]}` : issue.message || 'wrong value';
}

/** True when scale, mean and std leave the numbers as they are. */
export function isIdentity({ scale = 1, mean = 0, std = 1 }: Preprocess): boolean {
  const all = (value: number | readonly number[], wanted: number) =>
    typeof value === 'number' ? value === wanted : value.every((x) => x === wanted);
  return scale === 1 && all(mean, 0) && all(std, 1);
}

/** One line for the receipt. @example 'resize 256 (bilinear), crop 224, scale 0.003921569, NCHW' */
export function describePreprocess(options: Preprocess): string {
  const list = (value: number | readonly number[]) =>
    typeof value === 'number' ? rounded(value) : `[${value.map(rounded).join(',')}]`;
  const words: string[] = [];
  if (options.resize != null) {
    const { interpolation = 'bilinear', antialias = true } = options;
    const filter = antialias ? interpolation : `${interpolation}, no antialias`;
    words.push(`resize ${list(options.resize)} (${filter})`);
  }
  if (options.crop != null) words.push(`crop ${list(options.crop)}`);
  if (options.length != null) words.push(`length ${options.length}`);
  if (options.scale !== undefined && options.scale !== 1)
    words.push(`scale ${list(options.scale)}`);
  if (options.mean !== undefined) words.push(`mean ${list(options.mean)}`);
  if (options.std !== undefined) words.push(`std ${list(options.std)}`);
  if (options.colorOrder) words.push(options.colorOrder);
  if (options.layout) words.push(options.layout);
  if (options.shape != null) words.push(`shape ${list(options.shape)}`);
  if (options.labelMap != null) words.push(`labels mapped to ${list(options.labelMap)}`);
  return words.join(', ') || 'raw values';
}

const rounded = (x: number) => String(Number(x.toPrecision(7)));
