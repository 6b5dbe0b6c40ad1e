import fc from 'fast-check';
import { expect, test } from 'vitest';
import { labelTarget } from './label-target.js';
import type { MixedBatch } from './mixtures.js';

const batchOf = (labels: readonly (number | undefined)[], own?: readonly number[]): MixedBatch => ({
  feeds: {},
  count: labels.length,
  labels,
  ids: labels.map((_, at) => `sample ${at}`),
  ...(own && { own }),
});

test('class numbers as they are', () => {
  const target = labelTarget(batchOf([2, 0]), { input: 'label', classes: undefined });
  expect(target).toEqual({ dataType: 'int64', dims: [2], data: BigInt64Array.of(2n, 0n) });
});

test('a mixture is p of its own class and 1 - p of that of the next sample', () => {
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), part), {
    minLength: 2,
    maxLength: 8,
  });
  fc.assert(
    fc.property(rows, (all) => {
      const labels = all.map(([label]) => label);
      const own = all.map(([, p]) => p);
      const { dims, data } = labelTarget(batchOf(labels, own), { input: 'label', classes: 5 });
      expect(dims).toEqual([all.length, 5]);
      for (const [at, p] of own.entries()) {
        const shares = Array.from((data as Float32Array).subarray(5 * at, 5 * at + 5));
        const next = labels[(at + 1) % labels.length]!;
        expect(shares.reduce((sum, share) => sum + share)).toBeCloseTo(1, 5);
        expect(shares[labels[at]!]).toBeCloseTo(next === labels[at] ? 1 : p, 5);
        expect(shares[next]).toBeCloseTo(next === labels[at] ? 1 : 1 - p, 5);
      }
    }),
  );
});

test('a sample without a label, and a label that is no class, are named', () => {
  const input = { input: 'label', classes: 3 };
  expect(() => labelTarget(batchOf([1, undefined]), input)).toThrow(/"sample 1" has no label/);
  expect(() => labelTarget(batchOf([1, 3]), input)).toThrow(/has label 3, .* has 3 classes/);
});
