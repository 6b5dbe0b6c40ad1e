import { describe, expect, it } from 'vitest';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from './float16.js';

const halves = (...values: number[]) => [...float32ToFloat16(Float32Array.from(values))];
const brains = (...values: number[]) => [...float32ToBfloat16(Float32Array.from(values))];

describe('float16', () => {
  it('knows the landmarks of binary16', () => {
    const codes = Uint16Array.of(0x0001, 0x03ff, 0x0400, 0x3555, 0x3c00, 0x7bff, 0x7c00, 0xc000);
    expect([...float16ToFloat32(codes)]).toEqual([
      2 ** -24,
      2 ** -14 - 2 ** -24,
      2 ** -14,
      0.333251953125,
      1,
      65504,
      Infinity,
      -2,
    ]);
    expect(Object.is(float16ToFloat32(Uint16Array.of(0x8000))[0], -0)).toBe(true);
    expect(float16ToFloat32(Uint16Array.of(0x7c01))[0]).toBeNaN();
  });

  it('gives every code back', () => {
    const codes = Uint16Array.from({ length: 65536 }, (_, code) => code);
    const back = float32ToFloat16(float16ToFloat32(codes));
    for (const code of codes) {
      const notANumber = (code & 0x7fff) > 0x7c00;
      // JavaScript may change the payload of a NaN, its being one must stay.
      if (notANumber) expect(back[code]! & 0x7fff).toBeGreaterThan(0x7c00);
      else if (back[code] !== code) expect(back[code]).toBe(code);
    }
  });

  it('rounds to the nearest code, ties to even, between all neighbours', () => {
    for (let code = 0; code < 0x7bff; code++) {
      const [low, high] = float16ToFloat32(Uint16Array.of(code, code + 1)) as unknown as number[];
      const middle = (low! + high!) / 2;
      const step = (high! - low!) / 8;
      const even = code & 1 ? code + 1 : code;
      const found = halves(middle, middle - step, middle + step, -middle);
      if (String(found) !== String([even, code, code + 1, even | 0x8000])) {
        expect([code, ...found]).toEqual([code, even, code, code + 1, even | 0x8000]);
      }
    }
  });

  it('overflows to infinity from half a step above 65504', () => {
    expect(halves(65504, 65519.99, 65520, 1e38, -65520)).toEqual([
      0x7bff, 0x7bff, 0x7c00, 0x7c00, 0xfc00,
    ]);
    expect(halves(2 ** -25, 2 ** -25 * 1.0001, 1e-45, -1e-45)).toEqual([0, 1, 0, 0x8000]);
  });
});

describe('bfloat16', () => {
  it('rounds to the nearest code, ties to even', () => {
    const half = 2 ** -8;
    expect(brains(1, 1 + half, 1 + 3 * half, 1 + half * 1.01, -1 - half)).toEqual([
      0x3f80, 0x3f80, 0x3f82, 0x3f81, 0xbf80,
    ]);
  });

  it('keeps infinities, NaN and zeros; the largest float32 overflows', () => {
    expect(brains(Infinity, -Infinity, 0, -0, 3.4028234663852886e38)).toEqual([
      0x7f80, 0xff80, 0, 0x8000, 0x7f80,
    ]);
    expect(bfloat16ToFloat32(float32ToBfloat16(Float32Array.of(Number.NaN)))[0]).toBeNaN();
    // A NaN whose payload is in the lower half only must not become infinity.
    const sly = new Float32Array(Uint32Array.of(0x7f800001).buffer);
    expect(float32ToBfloat16(sly)[0]! & 0x7f).toBeGreaterThan(0);
  });

  it('gives every code back', () => {
    const codes = Uint16Array.from({ length: 65536 }, (_, code) => code).filter(
      (code) => (code & 0x7fff) <= 0x7f80,
    );
    expect(float32ToBfloat16(bfloat16ToFloat32(codes))).toEqual(codes);
  });
});
