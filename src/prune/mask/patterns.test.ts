import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countZeros, markGone, shareOut, takeLowest, type WeightMatrix } from './matrix.js';
import { chooseMasks, parsePattern, type Scope, whyNotPattern } from './patterns.js';

/** Integers make ties and zeros likely. */
const matrices = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5 }))
  .chain(([rows, fours]) =>
    fc
      .array(fc.integer({ min: -3, max: 3 }), {
        minLength: rows * fours * 4,
        maxLength: rows * fours * 4,
      })
      .map((values): WeightMatrix => {
        const features = fours * 4;
        return { groups: 1, rows, features, channels: features, values: Float64Array.from(values) };
      }),
  );
const shares = fc.double({ min: 0.01, max: 0.99, noNaN: true });

const magnitudes = ({ values }: WeightMatrix) => markGone(values.map(Math.abs), values);

function pruned(
  all: readonly WeightMatrix[],
  pattern: string,
  sparsity: number,
  scope: Scope,
): WeightMatrix[] {
  const settings = { sparsity, scope };
  const masks = chooseMasks(all, all.map(magnitudes), parsePattern(pattern), settings);
  return all.map((matrix, at) => ({
    ...matrix,
    values: matrix.values.map((value, i) => (masks[at]![i] ? 0 : value)),
  }));
}

const zeros = (matrix: WeightMatrix) => countZeros(matrix.values);

describe('unstructured', () => {
  test('reaches the share exactly, over all layers or in each', () => {
    fc.assert(
      fc.property(fc.array(matrices, { minLength: 1, maxLength: 3 }), shares, (all, sparsity) => {
        const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
        const total = sum(all.map(({ values }) => values.length));
        const global = sum(pruned(all, 'unstructured', sparsity, 'global').map(zeros));
        expect(global).toBe(Math.max(sum(all.map(zeros)), Math.round(sparsity * total)));
        for (const [at, matrix] of pruned(all, 'unstructured', sparsity, 'layer').entries()) {
          const wanted = Math.round(sparsity * matrix.values.length);
          expect(zeros(matrix)).toBe(Math.max(zeros(all[at]!), wanted));
        }
      }),
    );
  });

  test('per row: every row has its share within one entry, and keeps its own largest', () => {
    fc.assert(
      fc.property(matrices, shares, (matrix, sparsity) => {
        const [after] = pruned([matrix], 'unstructured', sparsity, 'row');
        const { features } = matrix;
        for (let at = 0; at < matrix.values.length; at += features) {
          const [old, now] = [matrix, after!].map(({ values }) => values.slice(at, at + features));
          const limit = Math.max(countZeros(old!), Math.ceil(sparsity * features));
          expect(countZeros(now!)).toBeLessThanOrEqual(limit);
          expect(countZeros(now!)).toBeGreaterThanOrEqual(Math.floor(sparsity * features));
          const kept = now!.filter((x) => x !== 0).map(Math.abs);
          const left = old!.filter((x, i) => x !== 0 && now![i] === 0).map(Math.abs);
          expect(Math.max(0, ...left)).toBeLessThanOrEqual(Math.min(9, ...kept));
        }
      }),
    );
  });

  test('masks compose: what is zero stays zero and counts; a second run changes nothing', () => {
    fc.assert(
      fc.property(
        matrices,
        shares,
        shares,
        fc.constantFrom<Scope>('global', 'layer', 'row'),
        fc.constantFrom('unstructured', '4x1', '1x4', '2x3', '2:4'),
        (matrix, a, b, scope, pattern) => {
          const [once] = pruned([matrix], pattern, a, scope);
          const [again] = pruned([once!], pattern, a, scope);
          expect(again).toEqual(once);
          const [more] = pruned([once!], 'unstructured', b, scope);
          once!.values.forEach((value, at) => {
            if (value === 0) expect(more!.values[at]).toBe(0);
          });
        },
      ),
    );
  });
});

describe('patterns', () => {
  test('N:M keeps exactly N of every M where so many were left, the largest ones', () => {
    fc.assert(
      fc.property(matrices, fc.constantFrom('1:4', '2:4', '3:4', '1:2'), (matrix, text) => {
        const [keep, of] = text.split(':').map(Number) as [number, number];
        const [after] = pruned([matrix], text, 0, 'layer');
        for (let at = 0; at < matrix.values.length; at += of) {
          const old = matrix.values.slice(at, at + of);
          const now = after!.values.slice(at, at + of);
          const alive = of - countZeros(old);
          expect(of - countZeros(now)).toBe(Math.min(keep, alive));
          const sorted = [...old].map(Math.abs).sort((x, y) => y - x);
          const sum = (numbers: Iterable<number>) =>
            [...numbers].reduce((s, x) => s + Math.abs(x), 0);
          expect(sum(now)).toBe(sum(sorted.slice(0, keep)));
        }
      }),
    );
  });

  test('N:M needs an input axis that M divides', () => {
    const matrix = { groups: 1, rows: 1, features: 6, channels: 6, values: new Float64Array(6) };
    expect(whyNotPattern(parsePattern('2:4'), matrix)).toContain('6 entries, no multiple of 4');
    expect(whyNotPattern(parsePattern('1:3'), matrix)).toBeUndefined();
  });

  test('blocks leave as a whole, by the mean of their entries; smaller ones at the edge', () => {
    // Rows are outputs: 2x1 blocks are two rows high.
    const values = Float64Array.of(1, 9, 2, 1, 9, 2, 5, 1, 8);
    const matrix = { groups: 1, rows: 3, features: 3, channels: 3, values };
    const [after] = pruned([matrix], '2x1', 0.5, 'layer');
    expect([...after!.values]).toEqual([0, 9, 0, 0, 9, 0, 5, 0, 8]);
    const [wide] = pruned([matrix], '1x2', 0.5, 'layer');
    expect([...wide!.values]).toEqual([1, 9, 0, 1, 9, 0, 0, 0, 8]);
  });

  test.each(['', '4', '4:2', '0:4', '2:2', '1x1', '0x4', 'a:b', '2:4:8'])(
    '"%s" is no pattern',
    (text) => {
      expect(() => parsePattern(text)).toThrow('is no pattern');
    },
  );
});

test('shares are exact as a whole and within one entry in every part', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), shares, (sizes, share) => {
      const counts = shareOut(sizes, share);
      const total = sizes.reduce((a, b) => a + b, 0);
      expect(counts.reduce((a, b) => a + b, 0)).toBe(Math.round(share * total));
      counts.forEach((count, at) => {
        expect(Math.abs(count - share * sizes[at]!)).toBeLessThanOrEqual(1);
        expect(count).toBeLessThanOrEqual(sizes[at]!);
      });
    }),
  );
});

test('equal scores leave in order', () => {
  const mask = new Uint8Array(5);
  takeLowest(Float64Array.of(2, 2, 1, 2, 2), 0, 5, 3, mask);
  expect([...mask]).toEqual([1, 1, 1, 0, 0]);
});
