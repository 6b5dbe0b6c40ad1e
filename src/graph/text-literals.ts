/**
 * The smallest pieces of the textual form: names, quoted strings and numbers, as text. Every
 * piece reads back to exactly what it was. Rules of the whole form are in docs/text-form.md.
 */
import { dataTypes } from '../onnx/data-type.js';

/** Words that open a type. A value of such a name is quoted, so that readers need not guess. */
export const typeWords: ReadonlySet<string> = new Set([
  ...Object.keys(dataTypes),
  'seq',
  'map',
  'optional',
  'sparse_tensor',
  'opaque',
  'undefined',
  'unknown',
]);

/** Words that read as numbers. */
export const numberWords: ReadonlySet<string> = new Set(['nan', 'inf', 'infinity']);

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A name as it is when it is an identifier, else quoted. */
export function nameText(name: string): string {
  const plain = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
  return plain && !typeWords.has(name) && !numberWords.has(name.toLowerCase())
    ? name
    : quotedText(name);
}

/** A domain and operator: every part between dots may be an identifier or quoted. */
export function operatorText(domain: string, opType: string, overload: string): string {
  const parts = domain === '' ? [] : domain.split('.');
  const place = parts.every((part) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(part))
    ? parts
    : [quotedText(domain)];
  const op = [...place, nameText(opType)].join('.');
  return overload === '' ? op : `${op}:${nameText(overload)}`;
}

export function quotedText(text: string): string {
  return quotedBytes(encoder.encode(text));
}

/** Bytes as a string literal on one line: UTF-8 stays readable, other bytes become \xHH. */
export function quotedBytes(bytes: Uint8Array): string {
  let text: string;
  try {
    text = strictDecoder.decode(bytes);
  } catch {
    return `"${Array.from(bytes, (byte) => (byte < 0x80 ? escaped(String.fromCharCode(byte)) : hex(byte))).join('')}"`;
  }
  return `"${escaped(text)}"`;
}

function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it escapes
  return text.replace(/["\\\x00-\x1f\x7f]/g, (char) => {
    if (char === '"' || char === '\\') return `\\${char}`;
    if (char === '\n') return '\\n';
    if (char === '\r') return '\\r';
    return char === '\t' ? '\\t' : hex(char.charCodeAt(0));
  });
}

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/**
 * The shortest decimal that reads back to this number at the given width (16 stands for float16
 * and bfloat16, whose values are all float32).
 */
export function floatText(value: number, bits: 16 | 32 | 64): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0';
  const size = Math.abs(value);
  if (bits === 64 || (Number.isInteger(value) && size < 2 ** 24)) return String(value);
  const single = Math.fround(value);
  // Up to six digits survive a float32, unless it is subnormal; nine always suffice.
  for (let digits = size < 2 ** -126 ? 1 : 6; digits < 9; digits++) {
    const short = Number(single.toPrecision(digits));
    if (Math.fround(short) === single) return String(short);
  }
  return String(Number(single.toPrecision(9)));
}

/** The number with a mark of being a float where it would read as an integer: '1.0'. */
export function floatLiteral(value: number): string {
  const text = floatText(Math.fround(value), 32);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
