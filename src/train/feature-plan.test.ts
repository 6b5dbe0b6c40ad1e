import { expect, test } from 'vitest';
import { parseModel } from '../graph/parse.js';
import { planFeatures, withMatches } from './feature-plan.js';

/** Two layers, the first of a width that a cut may change. */
const network = (width: number, batch: string) =>
  parseModel(`
main (float[${batch},4] x) => (float[${batch},3] y)
<
  float[4,${width}] first = normal(seed=1, mean=0, std=1),
  float[${width},3] second = normal(seed=2, mean=0, std=1),
  float[${batch},${width}] h,
  float[${batch},3] z,
  int64[2] size
>
{
  [one] h = MatMul(x, first)
  [two] z = MatMul(h, second)
  [shape] size = Shape(z)
  [out] y = Relu(z)
}`);

test('compares what both models have with equal dims, whatever the batch is called', () => {
  const plan = planFeatures(network(8, 'N'), network(5, 'batch'), ['op:MatMul', 'shape'], 3);
  expect(plan.compared).toEqual(['z']);
  expect(plan.terms).toEqual([
    { loss: 'feature-mse', output: 'z', target: 'target/feature_0', weight: 3 },
  ]);
  expect(plan.teacher).toEqual([{ input: 'target/feature_0', value: 'z' }]);
  expect(plan.skipped).toEqual([
    { name: 'h', reason: "is [N,8], the teacher's [batch,5]" },
    { name: 'size', reason: 'holds no floats' },
  ]);
  const both = planFeatures(network(5, 'N'), network(5, 'N'), ['one', 'two'], 3);
  expect(both.terms.map(({ weight }) => weight)).toEqual([1.5, 1.5]);
});

test('what is narrower is compared with the channels that it comes from', () => {
  const plan = planFeatures(network(3, 'N'), network(5, 'batch'), ['op:MatMul'], 1);
  expect(plan.narrow).toEqual([{ name: 'h', axis: 1 }]);
  const found = (correlation: number) =>
    withMatches(plan, new Map([['h', { channels: [4, 0, 1], correlation }]]), 1);
  expect(found(0.9).teacher).toEqual([
    { input: 'target/feature_0', value: 'h', channels: { axis: 1, indices: [4, 0, 1] } },
    { input: 'target/feature_1', value: 'z' },
  ]);
  const without = found(0.1);
  expect(without.compared).toEqual(['z']);
  expect(without.terms.map(({ weight }) => weight)).toEqual([1]);
  expect(without.skipped).toEqual([
    { name: 'h', reason: "has no channels like the teacher's: the correlation is 0.10" },
  ]);
});

test('refuses where nothing can be compared', () => {
  const plan = (patterns: string[]) => planFeatures(network(8, 'N'), network(5, 'N'), patterns, 1);
  expect(() => plan(['one'])).toThrow(/none of the chosen nodes can be compared/);
  expect(() => plan(['conv*'])).toThrow(/features: "conv\*" matches no node/);
  const narrow = planFeatures(network(3, 'N'), network(5, 'N'), ['one'], 1);
  const unlike = new Map([['h', { channels: [0, 1, 2], correlation: Number.NaN }]]);
  expect(() => withMatches(narrow, unlike, 1)).toThrow(/none of the chosen nodes can be compared/);
});
