import fc from 'fast-check';
import { expect, test } from 'vitest';
import { learningRateAt, scheduleNames, scheduleOptions } from './schedule.js';

const rates = (given: object, steps: number) => {
  const options = scheduleOptions.parse(given);
  return Array.from({ length: steps }, (_, step) => learningRateAt(step, steps, options));
};

test('constant stays, linear and cosine end where they should', () => {
  expect(rates({ schedule: 'constant', learningRate: 2, warmup: 0 }, 3)).toEqual([2, 2, 2]);
  expect(rates({ schedule: 'linear', learningRate: 1, warmup: 0 }, 5)).toEqual([
    1, 0.75, 0.5, 0.25, 0,
  ]);
  const cosine = rates({ schedule: 'cosine', learningRate: 1, warmup: 0, finalShare: 0.2 }, 3);
  expect(cosine[0]).toBe(1);
  expect(cosine[1]).toBeCloseTo(0.6, 12);
  expect(cosine[2]).toBeCloseTo(0.2, 12);
});

test('step falls by its factor at every milestone', () => {
  const given = { schedule: 'step', learningRate: 1, warmup: 0, milestones: [0.5, 0.75] };
  expect(rates(given, 9).map((rate) => Number(rate.toPrecision(6)))).toEqual([
    1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01,
  ]);
});

test('the warm-up rises in equal steps to the highest rate', () => {
  const given = { schedule: 'constant', learningRate: 1, warmup: 0.4 };
  expect(rates(given, 10).slice(0, 5)).toEqual([0.25, 0.5, 0.75, 1, 1]);
});

test('no rate is negative, none exceeds the highest, and after the warm-up none rises', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...scheduleNames),
      fc.integer({ min: 1, max: 200 }),
      fc.double({ min: 0, max: 0.9, noNaN: true }),
      (schedule, steps, warmup) => {
        const all = rates({ schedule, learningRate: 0.3, warmup }, steps);
        const rising = Math.round(warmup * steps);
        for (const [step, rate] of all.entries()) {
          expect(rate).toBeGreaterThanOrEqual(0);
          expect(rate).toBeLessThanOrEqual(0.3 + 1e-15);
          if (step > rising) expect(rate).toBeLessThanOrEqual(all[step - 1]! + 1e-15);
        }
      },
    ),
  );
});

test('a step outside of the run is refused', () => {
  expect(() => learningRateAt(5, 5, scheduleOptions.parse({}))).toThrow(/step 5 of a run of 5/);
});
