import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type NodeDamage, relax } from './relax.js';

const damageOf = (snrs: readonly number[]): NodeDamage[] =>
  snrs.map((snr, at) => ({ node: `n${at}`, snr }));
/** Damage of `count` nodes, in any order, no two alike. */
const damages = fc
  .uniqueArray(fc.double({ min: -50, max: 100, noNaN: true }), { minLength: 2, maxLength: 300 })
  .map(damageOf);

test('finds the fewest worst nodes, where more of them never fail', async () => {
  await fc.assert(
    fc.asyncProperty(damages, fc.nat(), async (damage, draw) => {
      const limit = Math.max(1, Math.floor(damage.length / 2));
      const needed = 1 + (draw % limit);
      const worst = [...damage].sort((a, b) => a.snr - b.snr);
      const found = await relax(damage, async (excluded) => {
        expect(excluded).toEqual(worst.slice(0, excluded.length).map(({ node }) => node));
        return excluded.length >= needed;
      });
      expect(found?.count).toBe(needed);
      expect(found?.ranked).toEqual(worst);
      expect(found!.checks).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(limit)) + 2);
    }),
  );
});

test('gives up at half of the nodes, in few checks', async () => {
  await fc.assert(
    fc.asyncProperty(damages, async (damage) => {
      const counts: number[] = [];
      const found = await relax(damage, async (excluded) => {
        counts.push(excluded.length);
        return false;
      });
      expect(found).toBeUndefined();
      expect(Math.max(...counts)).toBe(Math.max(1, Math.floor(damage.length / 2)));
      expect(counts.length).toBeLessThanOrEqual(Math.ceil(Math.log2(damage.length)) + 1);
    }),
  );
});

test('ends on what passes, even where passing comes and goes', async () => {
  await fc.assert(
    fc.asyncProperty(damages, fc.func(fc.boolean()), async (damage, chance) => {
      const passes = new Map<number, boolean>();
      const found = await relax(damage, async ({ length }) => {
        passes.set(length, chance(length));
        return passes.get(length)!;
      });
      if (found) expect(passes.get(found.count)).toBe(true);
      expect(passes.size).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(damage.length)) + 2);
    }),
  );
});

test('nodes that the runtime refuses alone come first', async () => {
  const damage = damageOf([20, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 3]);
  const found = await relax(damage, async (excluded) => excluded.includes('n1'));
  expect(found).toMatchObject({ count: 1, checks: 1 });
  expect(found!.ranked.map(({ node }) => node)).toEqual(['n1', 'n3', 'n0', 'n2']);
});
