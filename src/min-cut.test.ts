import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstSide, MinCut, secondSide } from './min-cut.js';

interface Problem {
  readonly prices: readonly (readonly [number, number])[];
  readonly pairs: readonly (readonly [number, number, number])[];
}

const problems: fc.Arbitrary<Problem> = fc.integer({ min: 1, max: 7 }).chain((count) =>
  fc.record({
    prices: fc.array(fc.tuple(fc.nat(20), fc.nat(20)), { minLength: count, maxLength: count }),
    pairs: fc.array(
      fc.tuple(
        fc.nat(count - 1),
        fc.nat(count - 1),
        fc.oneof(fc.nat(15), fc.constant(Number.POSITIVE_INFINITY)),
      ),
      { maxLength: 14 },
    ),
  }),
);

/** What a parting costs, each thing on the first side where its bit is set. */
function costOf({ prices, pairs }: Problem, isFirst: (at: number) => boolean): number {
  const own = prices.map(([first, second], at) => (isFirst(at) ? first : second));
  const parted = pairs.map(([a, b, cost]) => (a !== b && isFirst(a) && !isFirst(b) ? cost : 0));
  return [...own, ...parted].reduce((sum, cost) => sum + cost, 0);
}

test('no other parting is cheaper, and the cost is that of the parting found', () => {
  fc.assert(
    fc.property(problems, (problem) => {
      const cut = new MinCut();
      const things = problem.prices.map(() => cut.add());
      for (const [at, [first, second]] of problem.prices.entries()) {
        cut.price(things[at]!, first, second);
      }
      for (const [a, b, cost] of problem.pairs) cut.part(things[a]!, things[b]!, cost);
      const { cost, isFirst } = cut.solve();
      const count = problem.prices.length;
      const least = Math.min(
        ...Array.from({ length: 2 ** count }, (_, bits) =>
          costOf(problem, (at) => ((bits >> at) & 1) === 1),
        ),
      );
      expect(costOf(problem, (at) => isFirst(things[at]!))).toBe(least);
      expect(cost).toBeCloseTo(least, 6);
    }),
  );
});

test('a thing that may not be parted from a side goes there', () => {
  const cut = new MinCut();
  const [a, b] = [cut.add(), cut.add()];
  cut.price(a, 1, 9);
  cut.price(b, 9, 1);
  cut.part(a, secondSide, Number.POSITIVE_INFINITY);
  cut.part(firstSide, b, Number.POSITIVE_INFINITY);
  const { cost, isFirst } = cut.solve();
  expect([isFirst(a), isFirst(b), cost]).toEqual([false, true, 18]);
});
