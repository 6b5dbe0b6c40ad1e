import { describe, expect, it } from 'vitest';
import type { DataType } from './data-type.js';
import { float8ToFloat32, float32ToFloat8e4m3fn } from './float8.js';

const decode = (dataType: DataType, ...codes: number[]) => [
  ...float8ToFloat32(dataType, Uint8Array.from(codes)),
];

// Values from the tables "Float stored in 8 bits" and "Float stored in 4 bits" of the ONNX docs.
describe('float8ToFloat32', () => {
  it('E4M3FN: largest 448, NaN at all ones only, no infinities', () => {
    expect(decode('float8e4m3fn', 0x7e, 0x08, 0x07, 0x01, 0x80, 0xb8)).toEqual([
      448,
      2 ** -6,
      0.875 * 2 ** -6,
      2 ** -9,
      -0,
      -1,
    ]);
    expect(decode('float8e4m3fn', 0x7f, 0xff)).toEqual([NaN, NaN]);
  });

  it('E4M3FNUZ: largest 240, NaN at minus zero', () => {
    expect(decode('float8e4m3fnuz', 0x7f, 0xff, 0x08, 0x07, 0x01, 0x80)).toEqual([
      240,
      -240,
      2 ** -7,
      0.875 * 2 ** -7,
      2 ** -10,
      NaN,
    ]);
  });

  it('E5M2: largest 57344, infinities and NaN as in IEEE 754', () => {
    expect(decode('float8e5m2', 0x7b, 0x04, 0x03, 0x01, 0x7c, 0xfc, 0x7d, 0x7f)).toEqual([
      57344,
      2 ** -14,
      0.75 * 2 ** -14,
      2 ** -16,
      Infinity,
      -Infinity,
      NaN,
      NaN,
    ]);
  });

  it('E5M2FNUZ: largest 57344, NaN at minus zero', () => {
    expect(decode('float8e5m2fnuz', 0x7f, 0x04, 0x03, 0x01, 0x80)).toEqual([
      57344,
      2 ** -15,
      0.75 * 2 ** -15,
      2 ** -17,
      NaN,
    ]);
  });

  it('E8M0: powers of two from 2^-127 to 2^127', () => {
    expect(decode('float8e8m0', 0, 127, 128, 254, 255)).toEqual([2 ** -127, 1, 2, 2 ** 127, NaN]);
  });

  it('E2M1: all sixteen values', () => {
    const codes = Array.from({ length: 16 }, (_, code) => code);
    expect(decode('float4e2m1', ...codes)).toEqual([
      0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6,
    ]);
  });
});

describe('float32ToFloat8e4m3fn', () => {
  const encode = (...values: number[]) => [...float32ToFloat8e4m3fn(Float32Array.from(values))];

  it('every code comes back, but for the signs of NaN', () => {
    const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
    expect(
      float32ToFloat8e4m3fn(float8ToFloat32('float8e4m3fn', codes)).map((c) => c & 0x7f),
    ).toEqual(codes.map((c) => c & 0x7f));
  });

  it('ties go to the even code, also below the smallest normal number and across exponents', () => {
    // Between 1 and 1.125, 1.125 and 1.25, 1.875 and 2, and half of the smallest number.
    expect(encode(1.0625, 1.1875, 1.9375)).toEqual([0x38, 0x3a, 0x40]);
    expect(encode(2 ** -10, 3 * 2 ** -10, -(2 ** -10))).toEqual([0, 2, 0x80]);
  });

  it('what is too large saturates, NaN stays', () => {
    expect(encode(448, 464, 465, 1e30, -1e30, Number.POSITIVE_INFINITY)).toEqual([
      0x7e, 0x7e, 0x7e, 0x7e, 0xfe, 0x7e,
    ]);
    expect(encode(Number.NaN)[0]! & 0x7f).toBe(0x7f);
  });
});
