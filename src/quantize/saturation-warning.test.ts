import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { sumsSaturate } from '../engine/saturation.js';
import { parseModel } from '../graph/parse.js';
import { passContext } from '../pass.js';
import { quantize } from './index.js';
import { saturationWarning } from './saturation-warning.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const product = () =>
  parseModel(`main (float[8,32] x) => (float[8,32] y) < float[32,32] w = normal(seed=1) >
    { y = MatMul(x, w) }`);

test('a scheme warns exactly where full range gives wrong sums, and not with 7 bits', async () => {
  const saturates = await sumsSaturate(engine);
  const full = await quantize(product(), 'dynamic', {}, { engine });
  expect(full.report.warnings?.some((text) => text.includes('--reduce-range')) ?? false).toBe(
    saturates,
  );
  const reduced = await quantize(product(), 'dynamic', { reduceRange: true }, { engine });
  expect(reduced.report.warnings ?? []).toEqual([]);
  const nothing = await quantize(product(), 'dynamic', { exclude: ['op:*'] }, { engine });
  expect(nothing.report.warnings ?? []).toEqual([]);
});

test('only int8 has such kernels, and without an engine nothing is known', async () => {
  const context = passContext({ engine });
  expect(await saturationWarning({ weights: 'uint4', reduceRange: false }, context)).toBe(
    undefined,
  );
  const blind = passContext({});
  expect(await saturationWarning({ weights: 'int8', reduceRange: false }, blind)).toBe(undefined);
});
