import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { passContext } from '../pass.js';
import { makeCandidates } from './candidate.js';
import { roundSteps } from './rounds.js';
import { candidatesFor, withBorders, withPruning } from './targets.js';
import { fragileChain } from './test-models.js';

const cut = (prune: object, finetune?: object) =>
  roundSteps({ method: 'structured', prune: { ...prune }, finetune });

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

test('every candidate comes again behind a cut, and relaxes the same steps', () => {
  const plain = candidatesFor('node');
  const specs = withPruning(plain, cut({ macs: 0.3 }));
  expect(specs.slice(0, plain.length)).toEqual(plain);
  expect(specs).toHaveLength(2 * plain.length);
  for (const [at, spec] of specs.slice(plain.length).entries()) {
    const twin = plain[at]!;
    expect(spec.recipe.map(({ pass }) => pass)).toEqual([
      'simplify',
      'prune-structured',
      'simplify',
      ...twin.recipe.slice(1).map(({ pass }) => pass),
    ]);
    expect(spec.relax?.steps.map((step) => spec.recipe[step])).toEqual(
      twin.relax?.steps.map((step) => twin.recipe[step]),
    );
  }
});

test('training comes between the cut and the integers', () => {
  const specs = withPruning(candidatesFor('node'), cut({ macs: 0.3 }, { epochs: 2 }));
  const trained = specs.filter(({ name }) => name.startsWith('pruned + trained'));
  expect(trained).toHaveLength(specs.length / 2);
  for (const { recipe, relax } of trained) {
    expect(recipe[3]).toEqual({ pass: 'finetune', options: { epochs: 2 } });
    for (const step of relax?.steps ?? []) expect(step).toBeGreaterThan(3);
  }
});

test('raw inputs come behind the cut, which takes the samples of the model as it was', () => {
  const input = { scale: 1 };
  for (const { recipe } of withBorders(withPruning(candidatesFor('node'), cut({})), { input })) {
    const passes = recipe.map(({ pass }) => pass);
    const cut = passes.indexOf('prune-structured');
    if (cut >= 0) expect(passes.indexOf('quantize-input')).toBeGreaterThan(cut);
    expect(passes.indexOf('quantize-input')).toBeGreaterThan(0);
  }
});

test('the cut is made once for all candidates, and a target out of reach drops them alone', async () => {
  // The chain is of MatMul alone, which the static candidates leave to the dynamic ones.
  const plain = candidatesFor('node').filter(({ name }) => /^(dynamic|stored) int8$/.test(name));
  const make = (macs: number) => {
    const context = { ...passContext({ engine }), firstSteps: new Map() };
    return makeCandidates(fragileChain(), withPruning(plain, cut({ macs })), '0.0.0', context);
  };
  const { made } = await make(0.3);
  const cuts = made.flatMap(({ reports }) =>
    reports.filter(({ pass }) => pass === 'prune-structured'),
  );
  expect(cuts.length).toBeGreaterThan(1);
  expect(new Set(cuts).size).toBe(1);
  const { dropped } = await make(0.99);
  const reasons = dropped.filter(({ spec }) => spec.name.startsWith('pruned'));
  expect(reasons).toHaveLength(plain.length);
  for (const { reason } of reasons) expect(reason).toMatch(/^cannot be made: .* cannot be reached/);
});
