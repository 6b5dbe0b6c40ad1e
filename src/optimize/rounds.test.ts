/** The schedule by property, and the steps that it becomes. What they do is in prune-and-train.test.ts. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { epochsOfRounds, type RoundsRequest, risingShares, roundSteps } from './rounds.js';

const share = fc.double({ min: 0.001, max: 0.999, noNaN: true });
const rounds = fc.integer({ min: 1, max: 20 });

test('shares rise to exactly the target, and each round takes the same of what is left', () => {
  fc.assert(
    fc.property(share, rounds, (target, count) => {
      const shares = risingShares(target, count);
      expect(shares).toHaveLength(count);
      expect(shares.at(-1)).toBe(target);
      let left = 1;
      for (const gone of shares) {
        expect(gone).toBeGreaterThan(1 - left);
        expect((1 - gone) / left).toBeCloseTo((1 - target) ** (1 / count), 6);
        left = 1 - gone;
      }
    }),
  );
});

test('epochs are spread evenly, none is lost, and no round goes without', () => {
  fc.assert(
    fc.property(rounds, fc.nat(100), (count, more) => {
      const epochs = epochsOfRounds(count + more, count);
      expect(epochs.reduce((sum, each) => sum + each, 0)).toBe(count + more);
      expect(Math.max(...epochs) - Math.min(...epochs)).toBeLessThanOrEqual(1);
      expect(Math.min(...epochs)).toBeGreaterThanOrEqual(1);
      expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
    }),
  );
});

test('each round cuts on from the one before and trains, with the options that were given', () => {
  const steps = roundSteps({
    method: 'structured',
    prune: { macs: 0.75, criterion: 'taylor' },
    finetune: { epochs: 5, batchSize: 8 },
    rounds: 2,
  });
  expect(steps).toEqual([
    { pass: 'simplify', options: { unshare: true } },
    { pass: 'prune-structured', options: { macs: 0.5, criterion: 'taylor' } },
    { pass: 'finetune', options: { epochs: 2, batchSize: 8 } },
    { pass: 'prune-structured', options: { macs: 0.75, criterion: 'taylor', continued: true } },
    { pass: 'simplify', options: {} },
    { pass: 'finetune', options: { epochs: 3, batchSize: 8 } },
  ]);
});

const zeros = { method: 'unstructured', prune: { sparsity: 0.8 }, finetune: {} } as const;
const wrong: [string, RoundsRequest][] = [
  ['a number that is none', { ...zeros, rounds: 1.5 }],
  ['no training between', { ...zeros, finetune: undefined, rounds: 2 }],
  ['more rounds than epochs', { ...zeros, finetune: { epochs: 3 }, rounds: 4 }],
  ['more rounds than the default epochs', { ...zeros, rounds: 11 }],
  ['a target that cannot rise', { ...zeros, prune: { pattern: '2:4' }, rounds: 2 }],
  ['a method without one', { ...zeros, method: 'depth', prune: { ratio: 0.5 }, rounds: 2 }],
];
test.each(wrong)('%s is refused', (_, request) => {
  expect(() => roundSteps(request)).toThrowError(expect.objectContaining({ code: 'usage' }));
});
