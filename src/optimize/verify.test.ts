import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { evaluate } from '../measure/evaluate.js';
import type { Evaluation } from '../measure/evaluation.js';
import { datasetOf, floats, linearModel, named } from '../measure/test-models.js';
import type { QualityPromise } from './promise.js';
import type { Receipt } from './receipt.js';
import { checkEvaluation } from './verify.js';

let reference: Evaluation;
let good: Evaluation;
let bad: Evaluation;
let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  const scaled = (factor: number) =>
    linearModel([
      [1, 0],
      [0, factor],
    ]);
  const inputs = Array.from({ length: 1000 }, (_, at) => floats([Math.sin(at), Math.cos(at)]));
  const labels = inputs.map((_, at) => (Math.sin(at) >= Math.cos(at) ? 0 : 1));
  const models = await Promise.all([
    named('original', scaled(1)),
    named('good', scaled(1.001)),
    named('bad', scaled(3)),
  ]);
  const all = await evaluate(models, datasetOf(inputs, labels), engine);
  [reference, good, bad] = all as [Evaluation, Evaluation, Evaluation];
});
afterAll(() => engine.close());

const receiptOf = (promise: QualityPromise, optimized: Evaluation) =>
  ({
    promise,
    original: { evaluation: reference },
    optimized: { evaluation: optimized },
  }) as Receipt;
const resultsOf = (receipt: Receipt, again: Evaluation) =>
  checkEvaluation(receipt, reference, again).map(({ name, result }) => `${name}: ${result}`);

test('the same measurement passes', () => {
  const checks = checkEvaluation(receiptOf({ maxDrop: 0.5 }, good), reference, good);
  expect(checks.every(({ result }) => result === 'ok')).toBe(true);
  expect(checks.map(({ name }) => name)).toEqual([
    'promise kept',
    'score of the original',
    'score of the output',
  ]);
  expect(checks[0]!.detail).toBe('at most 0.5 points lost');
});

test('a worse one fails twice: the promise, and the score that was stated', () => {
  expect(resultsOf(receiptOf({ maxDrop: 0.5 }, good), bad)).toEqual([
    'promise kept: failed',
    'score of the original: ok',
    'score of the output: failed',
  ]);
});

test('a receipt that states a better score than there is fails although the promise is kept', () => {
  expect(resultsOf(receiptOf({ maxDrop: 90 }, good), bad)).toEqual([
    'promise kept: ok',
    'score of the original: ok',
    'score of the output: failed',
  ]);
});

test('one sample of few on the other side is no failure, two are', () => {
  const withScore = (count: number): Evaluation => ({
    ...good,
    classification: {
      ...good.classification!,
      top1: { count, n: 40, share: count / 40, interval: [0, 1] },
    },
  });
  const receipt = receiptOf({ maxDrop: 90 }, withScore(38));
  expect(resultsOf(receipt, withScore(37))).toContain('score of the output: ok');
  expect(resultsOf(receipt, withScore(36))).toContain('score of the output: failed');
});
