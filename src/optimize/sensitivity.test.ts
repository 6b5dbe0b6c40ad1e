import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { passContext } from '../pass.js';
import { sensitivityText } from '../report/sensitivity-text.js';
import { safeWeights } from '../testing/weight-bits.js';
import { makeCandidate } from './candidate.js';
import { keepFewest, keepWorst } from './keep-float.js';
import { chooseSamples, qualityOf } from './measuring.js';
import type { RelaxRequest } from './relax-candidate.js';
import { sensitivityReport, stepsTo } from './sensitivity.js';
import { fragileChain, noiseData } from './test-models.js';

let engine: Engine;
let request: RelaxRequest;
let options: { reduceRange?: boolean };
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  const model = fragileChain();
  const context = passContext({ engine });
  options = await safeWeights(engine, {});
  const recipe = [{ pass: 'dynamic', options }];
  const candidate = await makeCandidate(model, { name: 'dynamic', why: '', recipe }, '0', context);
  const dataset = noiseData(120);
  request = {
    ...{ model, candidate, engine, context, dataset, version: '0' },
    original: { name: 'original', source: await modelSource(model) },
    samples: chooseSamples(dataset, undefined, 0),
    relax: { steps: [0] },
    promise: { maxFlips: 5 },
    rankings: new Map(),
  };
});
afterAll(() => engine.close());

describe('the report', () => {
  test('names the node that int8 destroys, from both sides, and what leaving it out buys', async () => {
    const report = await sensitivityReport(request);
    const [worst, next] = report.nodes;
    expect(report.nodes).toHaveLength(4);
    expect(worst).toMatchObject({ node: 'fragile', op: 'MatMul' });
    expect(next!.aloneSnr! - worst!.aloneSnr!).toBeGreaterThan(20);
    for (const { node, othersSnr } of report.nodes.slice(1)) {
      expect(worst!.othersSnr!, node).toBeGreaterThan(othersSnr! + 10);
    }
    expect(report.tradeOff.map(({ kept }) => kept)).toEqual([0, 1, 2, 3, 4]);
    const quality = report.tradeOff.map(({ evaluation }) => qualityOf(evaluation!));
    expect(quality[0]!.flips).toBeGreaterThan(30);
    expect(quality[1]!.flips).toBeLessThan(5);
    expect(quality[4]).toMatchObject({ flips: 0, snr: Number.POSITIVE_INFINITY });
    const sizes = report.tradeOff.map(({ sizeBytes }) => sizeBytes);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    const text = sensitivityText(report, 'exclude', {});
    expect(text).toMatch(/^node +op +SNR alone +SNR of all others$/m);
    expect(text).toMatch(/^in float +size +flips +SNR$/m);
  });

  test('measures all of few steps and a few of many', () => {
    expect(stepsTo(0)).toEqual([0]);
    expect(stepsTo(3)).toEqual([0, 1, 2, 3]);
    for (const count of [1, 7, 53, 1000]) {
      const steps = stepsTo(count);
      expect(steps.at(-1)).toBe(count);
      expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
      expect(steps.length).toBeLessThan(8 + 2 * Math.log2(count + 1));
    }
  });
});

describe('keeping nodes in float', () => {
  test('the fewest that keep the promise', async () => {
    const kept = await keepFewest(request);
    expect(kept!.nodes).toEqual(['fragile']);
    expect(kept!.candidate.recipe).toEqual([
      { pass: 'dynamic', options: { ...options, exclude: ['fragile'] } },
    ]);
    expect(qualityOf(kept!.evaluation).flips).toBeLessThanOrEqual(5);
  });

  test('none where the promise is kept as it is, nothing where no choice keeps it', async () => {
    expect(await keepFewest({ ...request, promise: { maxFlips: 100 } })).toMatchObject({
      candidate: request.candidate,
      nodes: [],
    });
    expect(await keepFewest({ ...request, promise: { minSnr: 200 } })).toBeUndefined();
  });

  test('as many as are asked for, beside those that the caller leaves out', async () => {
    const recipe = [{ pass: 'dynamic', options: { exclude: ['head'] } }];
    const { model, context } = request;
    const spec = { name: 'dynamic', why: '', recipe };
    const candidate = await makeCandidate(model, spec, '0', context);
    const { candidate: kept, nodes } = await keepWorst({ ...request, candidate }, 1);
    expect(nodes).toEqual(['fragile']);
    expect(kept.recipe).toEqual([{ pass: 'dynamic', options: { exclude: ['head', 'fragile'] } }]);
    expect((await keepWorst(request, 0)).candidate).toBe(request.candidate);
  });
});
