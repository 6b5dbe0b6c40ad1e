/**
 * The wire format of protobuf: varints and tags. Only what protobuf-es does not offer: reading
 * packed numbers without an object for each, and lengths above 2^31.
 * Source: https://protobuf.dev/programming-guides/encoding/
 */

export const wireTypes = Object.freeze({
  varint: 0,
  bit64: 1,
  lengthDelimited: 2,
  startGroup: 3,
  endGroup: 4,
  bit32: 5,
});

/** A varint of up to 53 bits, and the position behind it. */
export interface Varint {
  readonly value: number;
  readonly next: number;
}

/** Undefined when the varint is cut off at `end`, longer than ten bytes, or beyond 2^53. */
export function readVarint(bytes: Uint8Array, at: number, end: number): Varint | undefined {
  let value = 0;
  let scale = 1;
  for (let next = at; next < end && next < at + 10; scale *= 128) {
    const byte = bytes[next++]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return Number.isSafeInteger(value) ? { value, next } : undefined;
  }
  return undefined;
}

/** @example varint(300) // Uint8Array [0xac, 0x02] */
export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** Tag and length of a length-delimited field. */
export function fieldHead(fieldNumber: number, byteLength: number): Uint8Array {
  const tag = varint(fieldNumber * 8 + wireTypes.lengthDelimited);
  const length = varint(byteLength);
  const head = new Uint8Array(tag.length + length.length);
  head.set(tag);
  head.set(length, tag.length);
  return head;
}

/** Number of varints in [start, end): every varint has one byte without the high bit. */
export function countVarints(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) if (bytes[at]! < 0x80) count++;
  return count;
}

/**
 * Reads the varints of `bytes` into `out` from entry `at` on; returns the entry behind the last.
 * With `words` 1 an entry takes the low bits of a number, cut to its width; with `words` 2 the
 * numbers are 64-bit and take two entries each, low word first. The caller has counted them.
 */
export function readVarints(
  bytes: Uint8Array,
  out: Uint8Array | Uint16Array | Uint32Array,
  at: number,
  words: 1 | 2,
): number {
  let to = at;
  let low = 0;
  let high = 0;
  let shift = 0;
  for (let from = 0; from < bytes.length; from++) {
    const byte = bytes[from]!;
    const bits = byte & 0x7f;
    if (shift < 32) low |= bits << shift;
    // The fifth byte has bits 28 to 34: its upper three belong to the high word.
    if (shift === 28) high = bits >>> 4;
    else if (shift > 28) high |= bits << (shift - 32);
    shift += 7;
    if (byte >= 0x80) continue;
    out[to++] = low;
    if (words === 2) out[to++] = high;
    low = 0;
    high = 0;
    shift = 0;
  }
  return to;
}
