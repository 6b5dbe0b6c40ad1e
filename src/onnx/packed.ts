/**
 * Packing of 4-bit and 2-bit elements: the first element in the low bits, the last byte padded
 * with zeros. Source: ONNX IR, "int4, uint4, int2, uint2, float4e2m1" storage.
 */

/** One entry per element; signed types are sign-extended. `bits` is 4 or 2. */
export function unpackBits(
  bytes: Uint8Array,
  count: number,
  bits: number,
  signed: boolean,
): Uint8Array | Int8Array {
  const out = signed ? new Int8Array(count) : new Uint8Array(count);
  const perByte = 8 / bits;
  const mask = (1 << bits) - 1;
  const lift = 32 - bits;
  for (let i = 0; i < count; i++) {
    const code = (bytes[Math.floor(i / perByte)]! >>> ((i % perByte) * bits)) & mask;
    out[i] = signed ? (code << lift) >> lift : code;
  }
  return out;
}

/** Packs the low `bits` bits of every value. Values outside the type's range are the caller's error. */
export function packBits(values: ArrayLike<number>, bits: number): Uint8Array {
  const perByte = 8 / bits;
  const mask = (1 << bits) - 1;
  const out = new Uint8Array(Math.ceil(values.length / perByte));
  for (let i = 0; i < values.length; i++) {
    const at = Math.floor(i / perByte);
    out[at] = out[at]! | ((values[i]! & mask) << ((i % perByte) * bits));
  }
  return out;
}
