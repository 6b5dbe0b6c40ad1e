import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { definePass, ReportBuilder } from '../pass.js';
import { describeFixtures, expectEqualOutputs } from './node-fixtures.js';

const removeDoubleNeg = definePass({
  name: 'remove-double-neg',
  summary: 'Removes Neg of Neg.',
  options: z.object({ limit: z._default(z.number(), 9) }),
  async run({ graph }, { limit }) {
    const report = new ReportBuilder();
    for (const node of graph.nodes) {
      const before = node.inputs[0]?.producer;
      if (report.changed.length >= limit || node.op !== 'Neg' || before?.op !== 'Neg') continue;
      node.output().replaceUses(before.input(0));
      graph.removeNode(node);
      graph.removeNode(before);
      report.change(node, 'removed');
    }
    return report;
  },
});

describeFixtures(new URL('./fixtures/remove-double-neg', import.meta.url), removeDoubleNeg);

test('a folder without fixtures is an error, not a pass', () => {
  expect(() => describeFixtures(new URL('.', import.meta.url), removeDoubleNeg)).toThrow(
    'no fixtures in',
  );
});

describe('equal outputs', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createNodeEngine({ threads: 1 });
  });
  afterAll(() => engine.close());

  const model = (factor: string) =>
    parseModel(`main (float[N,4] x) => (float[N,4] y) < float w = {${factor}} > { y = Mul(x, w) }`);

  test('differences below the tolerance pass, larger ones fail with their place', async () => {
    await expectEqualOutputs(engine, model('1'), model('1.000001'));
    await expect(expectEqualOutputs(engine, model('1'), model('1.001'))).rejects.toThrow(
      /output "y" moved at element \d+: .* allowed is 0\.00001 of/,
    );
    await expectEqualOutputs(engine, model('1'), model('1.001'), 0.01);
  });

  test('types, dims and names must be the same', async () => {
    const other = (text: string) => expectEqualOutputs(engine, model('1'), parseModel(text));
    await expect(other('m (float[N,4] x) => (float[N,4] z) { z = Neg(x) }')).rejects.toThrow();
    await expect(
      other(
        'm (float[N,4] x) => (float[N] y) { y = ReduceSum<keepdims = 0>(x, a) a = Constant<value_ints = [1]>() }',
      ),
    ).rejects.toThrow();
    await expect(
      other('m (float[N,4] x) => (double[N,4] y) { y = Cast<to = 11>(x) }'),
    ).rejects.toThrow();
  });
});
