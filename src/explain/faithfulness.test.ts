/** Deletion curves, connections and paths on models whose truth is known. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { passContext } from '../pass.js';
import { chooseCriterion } from './choose-criterion.js';
import type { Reader } from './connections.js';
import { explain } from './explain.js';
import { strongestPaths } from './strongest-paths.js';
import { normalData, residualNet } from './test-subjects.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Eight copies of the inputs; unit i speaks for class i % 2 with a weight that falls with i. */
const known = parseModel(`<ir_version: 10, opset_import: ["" : 18]>
  main (float[N,2] x) => (float[N,2] y)
  <float[2,8] w1 = {1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1},
   float[8,2] w2 = {8, 0, 0, 8, 4, 0, 0, 4, 1, 0, 0, 1, 0.1, 0, 0, 0.1}> {
    [hidden] h = MatMul(x, w1)
    r = Relu(h)
    [last] y = MatMul(r, w2)
  }`);

test('a true score is far from chance, and what it says is JSON', { timeout: 60_000 }, async () => {
  const options = { samples: 60, curveSamples: 60, seeds: 5, inputs: 1 };
  const unlabelled = { ...normalData(150, [2], 2), hasLabels: false };
  const dataset = {
    ...unlabelled,
    async *samples(indices?: ArrayLike<number>) {
      for await (const { id, inputs } of unlabelled.samples(indices)) yield { id, inputs };
    },
  };
  const explanation = await explain(known, dataset, options, { engine });
  expect(JSON.parse(JSON.stringify(explanation))).toEqual(explanation);
  expect(explanation.data.labels).toBe('predicted');
  expect(explanation.baseline.accuracy).toBe(1);
  const { criteria, agreement, random, shares } = explanation.faithfulness!;
  const of = (name: string) => criteria.find((each) => each.name === name)!;
  for (const name of ['ablation', 'conductance', 'gradient-activation']) {
    expect(of(name).area.interval[0], name).toBeGreaterThan(0.1);
    expect(of(name).overRandom.mostFirst.mean, name).toBeGreaterThan(0);
  }
  // Every hidden unit has the same incoming weights: their norm cannot tell them apart.
  const { scores } = explanation.layers[0]!;
  expect(new Set(scores['weight-norm'])).toEqual(new Set([1]));
  expect(scores.ablation![0]!).toBeGreaterThan(scores.ablation![4]!);
  expect(agreement.spearman[0]![0]).toBe(1);
  expect(random).toHaveLength(5);
  expect(of('ablation').mostFirst.accuracy).toHaveLength(shares.length);
  expect(of('ablation').mostFirst.accuracy[0]).toBe(1);
  // Units 0, 2, 4, 6 are the same number.
  const { nearest, correlation } = explanation.layers[0]!.redundancy!;
  expect([2, 4, 6]).toContain(nearest[0]);
  expect(correlation[0]).toBeCloseTo(1, 4);
  expect(explanation.layers[0]!.serves[0]![0]).toBe(0);
  // From x0 by its strongest unit to class 0.
  const [path] = explanation.connections.paths[0]!.paths;
  expect(path!.steps).toEqual([
    { layer: 'input', unit: 0 },
    { layer: 'hidden', unit: 0 },
    { layer: 'last', unit: 0 },
  ]);
});

test('shares of a residual sum are one over all that a unit reads', {
  timeout: 60_000,
}, async () => {
  const options = { samples: 12, ablation: false, faithfulness: false, inputs: 0, pathSamples: 2 };
  const explanation = await explain(residualNet(), normalData(12, [2, 4, 4], 3), options, {
    engine,
  });
  const reads = explanation.connections.blocks.map(({ from, to }) => `${from} > ${to}`);
  expect(reads.sort()).toEqual([
    'conv1 > conv2',
    'conv1 > fc',
    'conv2 > fc',
    'fc > last',
    'input > conv1',
  ]);
  const into = explanation.connections.blocks.filter(({ to }) => to === 'fc');
  expect(into.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
  expect(explanation.layers[0]!.dead).toEqual([3]);
  expect(explanation.skipped.map(({ what }) => what).sort()).toEqual(['ablation', 'faithfulness']);
});

describe('strongest paths', () => {
  const widths = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 });
  test('are those of a search through all of them', () => {
    fc.assert(
      fc.property(
        widths,
        fc.infiniteStream(fc.double({ min: 0.01, max: 1, noNaN: true })),
        (sizes, numbers) => {
          const readers = sizes.slice(1).map((units, at): Reader => {
            const shares = Float64Array.from(
              { length: units * sizes[at]! },
              () => numbers.next().value,
            );
            const source = { id: `${at}`, units: sizes[at]!, rms: [] };
            return { id: `${at + 1}`, units, sources: [{ source, norm: 0, shares }] };
          });
          const last = `${sizes.length - 1}`;
          const all: number[] = [];
          const walk = (at: number, unit: number, share: number) => {
            if (at === 0) return void all.push(share);
            const { shares, source } = readers[at - 1]!.sources[0]!;
            for (let from = 0; from < source.units; from++)
              walk(at - 1, from, share * shares[unit * source.units + from]!);
          };
          walk(sizes.length - 1, 0, 1);
          const [found] = strongestPaths(readers, last, [0], 3);
          const expected = all.sort((a, b) => b - a).slice(0, 3);
          expect(found!.paths).toHaveLength(expected.length);
          for (const [at, { share }] of found!.paths.entries())
            expect(share).toBeCloseTo(expected[at]!, 10);
        },
      ),
      { numRuns: 50 },
    );
  });
});

test('the criterion of pruning is chosen by what it keeps', { timeout: 60_000 }, async () => {
  const data = normalData(80, [2], 2);
  const context = passContext({
    engine,
    async *samples() {
      for await (const { inputs } of data.samples()) yield { x: { ...inputs.x!, dims: [1, 2] } };
    },
  });
  const options = {
    reduction: 'mean',
    normalizer: 'mean',
    scope: 'global',
    largestShare: 0.8,
    exclude: [],
    split: 'auto',
    norms: 'none',
    dims: undefined,
  } as const;
  const choice = await chooseCriterion(known, { ...options, exclude: [] }, context);
  expect(choice.labels).toBe('predicted');
  expect(choice.samples).toBe(40);
  expect(choice.rows[0]!.criterion).toBe(choice.criterion);
  expect(choice.rows.every(({ accuracy }) => accuracy[0] === 1)).toBe(true);
  const kept = choice.rows.map((row) => row.kept);
  expect(kept).toEqual([...kept].sort((a, b) => b - a));
  expect(choice.skipped.map(({ criterion }) => criterion)).toEqual(['bn-scale']);
  await expect(
    chooseCriterion(known, { ...options, exclude: [] }, passContext({ engine })),
  ).rejects.toThrow('the criterion auto is chosen on samples');
});
