/**
 * The content of tensors as text: literal elements, or a fingerprint in place of large weights.
 * Only writes; parse-tensor.ts reads the literal form.
 */
import { dataTypes } from '../onnx/data-type.js';
import { bytesOf, type Tensor, toFloat32 } from '../onnx/tensor.js';
import { fingerprint } from './content.js';
import { floatText, quotedBytes } from './text-literals.js';

/**
 * How much of the weights a text shows: `none` of them, `short` (up to 8 elements are written
 * out, of the rest a fingerprint that changes when the content does), or `full`.
 */
export type WeightDetail = 'none' | 'short' | 'full';

const literalElements = 8;

/** '{0.5, 1}', or '{... fnv1a 1b2c3d4e}'. */
export async function contentText(tensor: Tensor, detail: WeightDetail): Promise<string> {
  if (detail === 'none') return '{...}';
  if (detail === 'short' && tensor.size > literalElements) {
    return `{... fnv1a ${await fingerprint(tensor)}}`;
  }
  return `{${(await elementTexts(tensor)).join(', ')}}`;
}

async function elementTexts(tensor: Tensor): Promise<string[]> {
  const { dataType, content } = tensor;
  if (content.kind === 'strings') return content.strings.map(quotedBytes);
  const { kind, bits } = dataTypes[dataType];
  if (kind === 'complex') return complexTexts(await tensor.bytes(), bits);
  const array = await tensor.array();
  if (kind !== 'float' || bits < 16) return Array.from(array as ArrayLike<number>, String);
  if (array instanceof Uint16Array) {
    // A NaN is written as its bit pattern, which an integer means for these types.
    return Array.from(toFloat32(dataType, array), (value, i) =>
      Number.isNaN(value) ? String(array[i]) : floatText16(value),
    );
  }
  return floatTexts(array as Float32Array | Float64Array);
}

/** Integers would read as bit patterns, so floats show their point. */
function floatText16(value: number): string {
  const text = floatText(value, 16);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** Real and imaginary parts in turn. */
function complexTexts(bytes: Uint8Array, bits: number): string[] {
  const buffer = bytes.slice().buffer;
  return floatTexts(bits === 64 ? new Float32Array(buffer) : new Float64Array(buffer));
}

function floatTexts(array: Float32Array | Float64Array): string[] {
  const bits = array instanceof Float32Array ? 32 : 64;
  const texts: string[] = [];
  for (let i = 0; i < array.length; i++) {
    const value = array[i]!;
    texts.push(Number.isNaN(value) ? nanText(array.subarray(i, i + 1)) : floatText(value, bits));
  }
  return texts;
}

/** 'nan' for the usual one; others show their bits, since their content is not the same. */
function nanText(one: Float32Array | Float64Array): string {
  const bits = bytesOf(one)
    .toReversed()
    .reduce((text, byte) => text + byte.toString(16).padStart(2, '0'), '');
  return bits === '7fc00000' || bits === '7ff8000000000000' ? 'nan' : `nan(0x${bits})`;
}
