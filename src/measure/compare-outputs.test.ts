import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HostTensor } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { float32ToFloat16 } from '../onnx/float16.js';
import { OutputComparison, snrOf } from './compare-outputs.js';

const vector = (values: readonly number[]): HostTensor =>
  hostTensor('float', [values.length], Float32Array.from(values));

function compare(pairs: readonly (readonly [HostTensor, HostTensor])[]) {
  const comparison = new OutputComparison('y');
  for (const [tensor, reference] of pairs) comparison.add(tensor, reference);
  return comparison.result();
}

/** Finite, and not so small that squares vanish. */
const numbers = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), {
  minLength: 1,
  maxLength: 50,
});

describe('SNR', () => {
  test('of a tensor and itself is infinite, in JSON null and exact', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const { agreement } = compare([[vector(values), vector(values)]]);
        expect(agreement).toMatchObject({ exact: true, snrDb: null, maxAbsError: 0 });
        expect(snrOf(agreement!)).toBe(Number.POSITIVE_INFINITY);
        expect(JSON.parse(JSON.stringify(agreement))).toEqual(agreement);
      }),
    );
  });

  test('of noise in proportion to the signal is that proportion', () => {
    const levels = fc.double({ min: 0, max: 60, noNaN: true });
    fc.assert(
      fc.property(numbers, levels, (values, db) => {
        fc.pre(values.some((value) => Math.abs(value) > 1e-3));
        const noisy = Float64Array.from(values, (value) => value * (1 + 10 ** (-db / 20)));
        const reference = hostTensor('double', [values.length], Float64Array.from(values));
        const { agreement } = compare([[hostTensor('double', [values.length], noisy), reference]]);
        expect(agreement!.snrDb).toBeCloseTo(db, 4);
        expect(agreement!.cosine).toBeCloseTo(1, 9);
      }),
    );
  });

  test('is pooled: the samples together, not the mean over them', () => {
    const [a, b] = [vector([100, 0]), vector([0, 1])];
    const pooled = compare([
      [vector([101, 0]), a],
      [vector([0, 2]), b],
    ]);
    expect(pooled.agreement!.snrDb).toBeCloseTo(10 * Math.log10(10001 / 2), 9);
    expect(pooled.agreement!.maxAbsError).toBe(1);
    expect(pooled.elements).toBe(4);
  });

  test('is not defined against a reference of zeros', () => {
    const { agreement } = compare([[vector([1, 1]), vector([0, 0])]]);
    expect(agreement).toMatchObject({ exact: false, snrDb: null, cosine: null, maxAbsError: 1 });
    expect(snrOf(agreement!)).toBe(Number.NEGATIVE_INFINITY);
  });
});

describe('numbers that are not finite', () => {
  test('agree where both have the same', () => {
    const masked = vector([1, Number.NEGATIVE_INFINITY, Number.NaN]);
    const result = compare([[masked, masked]]);
    expect(result).toMatchObject({ nan: 1, infinite: 1, agreement: { exact: true } });
    const near = vector([2, Number.NEGATIVE_INFINITY, Number.NaN]);
    expect(compare([[near, masked]]).agreement!.snrDb).toBeCloseTo(0, 9);
  });

  test('leave no SNR where only one model has them', () => {
    const broken = compare([[vector([1, Number.NaN]), vector([1, 2])]]);
    expect(broken).toMatchObject({
      nan: 1,
      agreement: { exact: false, snrDb: null, nonFiniteMismatches: 1 },
    });
  });
});

test('cosine does not see a scale', () => {
  const { agreement } = compare([[vector([2, 4, -6]), vector([1, 2, -3])]]);
  expect(agreement!.cosine).toBeCloseTo(1, 12);
  const opposite = compare([[vector([-1, 0]), vector([1, 0])]]);
  expect(opposite.agreement!.cosine).toBe(-1);
});

test('float16 and float compare as numbers', () => {
  const half = hostTensor('float16', [2], float32ToFloat16(Float32Array.of(0.5, -2)));
  expect(compare([[half, vector([0.5, -2])]]).agreement!.exact).toBe(true);
});

test('integers, bool and strings have a share of equal elements', () => {
  const wide = hostTensor('int64', [4], BigInt64Array.of(1n, 2n, 3n, 4n));
  const narrow = hostTensor('int32', [4], Int32Array.of(1, 2, 3, 5));
  expect(compare([[narrow, wide]]).agreement).toMatchObject({
    exact: false,
    snrDb: null,
    equal: { count: 3, n: 4, share: 0.75 },
  });
  const words = hostTensor('string', [2], ['a', 'b']);
  expect(compare([[words, words]]).agreement!.exact).toBe(true);
});

test('outputs of different shape or kind do not compare', () => {
  const column = hostTensor('float', [2, 1], new Float32Array(2));
  expect(() => compare([[column, vector([0, 0])]])).toThrow(/float\[2,1\].*float\[2\]/);
  const ids = hostTensor('int64', [2], new BigInt64Array(2));
  expect(() => compare([[ids, vector([0, 0])]])).toThrow(/int64\[2\].*float\[2\]/);
});
