/** When a rate counts as too high; that training then begins again is in finetune.test.ts. */
import { expect, test } from 'vitest';
import { RateGuard } from './rate-guard.js';

/** 200 steps of 10 epochs, 20 of which warm up: the first epoch is judged, by ten steps. */
const schedule = { learningRate: 0.08, warmup: 0.1 };
const guardOf = (losses: readonly number[]) => {
  const guard = new RateGuard(schedule, 10, 20);
  for (const loss of losses) guard.see(loss);
  return guard;
};
const opening = [0, 2, 0, 2, 0, 2, 0, 2, 0, 2];

test('the first steps together are what an epoch is compared with, not the very first', () => {
  const guard = guardOf([...opening, 50, 50]);
  expect(guard.isWorse(0, 1.5)).toBe(false);
  expect(guard.isWorse(0, 1.7)).toBe(true);
});

test('only the epoch in which the warm-up ends is judged', () => {
  const slow = new RateGuard({ learningRate: 0.08, warmup: 0.3 }, 10, 20);
  for (const loss of opening) slow.see(loss);
  const judged = Array.from({ length: 10 }, (_, epoch) => epoch).filter((epoch) =>
    slow.isWorse(epoch, 100),
  );
  expect(judged).toEqual([2]);
});

test('the rate falls to a quarter three times at most, and what was seen before does not count', () => {
  const guard = guardOf(opening);
  expect(guard.fallBack(3)).toMatchObject({ from: 0.08, to: 0.02, startLoss: 1, loss: 3 });
  guard.see(4);
  expect(guard.isWorse(0, 5)).toBe(false);
  expect(guard.fallBack(null)).toMatchObject({ to: 0.005, startLoss: 4, loss: null });
  expect(guard.fallBack(null)).toMatchObject({ startLoss: null });
  expect(guard.fallBack(null)).toBeUndefined();
  expect(guard.rate).toBe(0.08 / 64);
});

test('a checkpoint goes on as it was', () => {
  const before = guardOf(opening.slice(0, 4));
  before.fallBack(3);
  before.see(1);
  const after = new RateGuard(schedule, 10, 20);
  after.state = JSON.parse(JSON.stringify(before.state));
  for (const guard of [before, after]) guard.see(2);
  expect(after.state).toEqual(before.state);
  expect(after.rate).toBe(before.rate);
});
