/** What holds of every coupling and cut, whatever the operators. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { cloneModel } from '../graph/clone.js';
import { differenceOf } from '../graph/equal.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { everySecond } from '../testing/node-pruning.js';
import { analyzeCoupling } from './analyze-coupling.js';
import { cutModel } from './cut.js';
import type { Coupling, Family } from './family.js';
import { LabelSets } from './labels.js';
import { proveCut } from './proof.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Two branches that meet, and a shape that is stored. Each line may come in any order that runs. */
const steps = [
  'a = Conv<pads=[1,1,1,1]>(x, w1, b1)',
  'b = Conv(x, w2)',
  'c = Relu(a)',
  'd = Sigmoid(b)',
  'e = Concat<axis=1>(c, d)',
  'f = Conv(e, w3)',
  'g = Add(f, c)',
  'h = Reshape(g, shape)',
  'y = Gemm(h, w4)',
] as const;
const before: Readonly<Record<number, readonly number[]>> = {
  2: [0],
  3: [1],
  4: [2, 3],
  5: [4],
  6: [5, 2],
  7: [6],
  8: [7],
};

const textOf = (order: readonly number[]) => `main (float[1,3,4,4] x) => (float[1,3] y)
  <float[6,3,3,3] w1 = normal(seed=1), float[6] b1 = normal(seed=2), float[4,3,1,1] w2 = normal(seed=3),
   float[6,10,1,1] w3 = normal(seed=4), int64[2] shape = {1, 96}, float[96,3] w4 = normal(seed=5)>
  { ${order.map((step) => steps[step]).join('\n    ')} }`;

const inOrder = steps.map((_, i) => i);
const analyze = (model: Model): Promise<Coupling> => analyzeCoupling(model, {}, { engine });

/** Families as sets of slices: what leaves together, without ids and without an order. */
function slicesOf({ families }: Coupling, nameOf = (name: string) => name): string[] {
  return families
    .flatMap(({ units, members }) =>
      Array.from({ length: units }, (_, unit) =>
        members
          .map(({ value, axis, unitOf }) => {
            const own = [...unitOf.keys()].filter((i) => unitOf[i] === unit);
            return `${nameOf(value.name)}.${axis}:${own}`;
          })
          .sort()
          .join(' '),
      ),
    )
    .sort();
}

/** Any topological order, by random priorities. */
const orders = fc
  .array(fc.nat(), { minLength: steps.length, maxLength: steps.length })
  .map((keys) => {
    const order: number[] = [];
    while (order.length < steps.length) {
      const ready = inOrder.filter(
        (step) =>
          !order.includes(step) && (before[step] ?? []).every((each) => order.includes(each)),
      );
      ready.sort((a, b) => keys[a]! - keys[b]! || a - b);
      order.push(ready[0]!);
    }
    return order;
  });

test('what leaves together does not depend on the order of nodes', async () => {
  const expected = slicesOf(await analyze(parseModel(textOf(inOrder))));
  expect(expected).toHaveLength(10);
  await fc.assert(
    fc.asyncProperty(orders, async (order) => {
      expect(slicesOf(await analyze(parseModel(textOf(order))))).toEqual(expected);
    }),
    { numRuns: 15 },
  );
});

test('nor on names', async () => {
  const expected = slicesOf(await analyze(parseModel(textOf(inOrder))));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { minLength: 20, maxLength: 20 }), async (keys) => {
      const model = parseModel(textOf(inOrder));
      const names = new Map<string, string>();
      [...model.graph.values].forEach((value, i) => {
        const name = `${keys[i]}/${i}`;
        names.set(name, value.name);
        value.rename(name);
      });
      [...model.graph.nodes].forEach((node, i) => {
        node.name = `${keys[i]}-${i}`;
      });
      expect(slicesOf(await analyze(model), (name) => names.get(name)!)).toEqual(expected);
    }),
    { numRuns: 10 },
  );
});

test('cutting nothing changes nothing, and the model that was analysed never changes', async () => {
  const model = parseModel(textOf(inOrder));
  const copy = cloneModel(model);
  const coupling = await analyze(model);
  const none = new Map(coupling.families.map(({ id }) => [id, new Set<number>()]));
  expect(await differenceOf(await cutModel(coupling, none), model)).toBeUndefined();
  await cutModel(coupling, everySecond(coupling.families));
  expect(await differenceOf(model, copy)).toBeUndefined();
});

const unitsOf = ({ units }: Family, keys: readonly number[]) =>
  new Set(keys.map((key) => key % units).slice(0, units - 2));

test('a cut in two steps is the cut in one', async () => {
  const coupling = await analyze(parseModel(textOf(inOrder)));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 2, maxLength: 2 }),
      async (keys) => {
        const whole = new Map(coupling.families.map((f, i) => [f.id, unitsOf(f, keys[i]!)]));
        const first = new Map(
          [...whole].map(([id, units]) => [id, new Set([...units].slice(0, 1))]),
        );
        const between = await analyze(await cutModel(coupling, first));
        const second = new Map(
          [...whole].map(([id, units]) => {
            const [gone = Number.POSITIVE_INFINITY, ...rest] = units;
            return [id, new Set(rest.map((unit) => (unit > gone ? unit - 1 : unit)))];
          }),
        );
        const twice = await cutModel(between, second);
        expect(await differenceOf(twice, await cutModel(coupling, whole))).toBeUndefined();
      },
    ),
    { numRuns: 15 },
  );
});

test('what is cut is gone: the same widths are found again, narrower', async () => {
  const coupling = await analyze(parseModel(textOf(inOrder)));
  const after = await analyze(await cutModel(coupling, everySecond(coupling.families)));
  expect(after.families.map(({ id, units, structure }) => [id, units, structure])).toEqual(
    coupling.families.map(({ id, units, structure }) => [
      id,
      units - Math.floor(units / 2),
      structure,
    ]),
  );
});

test('types follow, and the size of a unit is what leaves with it', async () => {
  const model = parseModel(textOf(inOrder));
  const coupling = await analyze(model);
  const [family] = coupling.families;
  const size = (m: Model) => m.graph.initializers.reduce((n, v) => n + v.initializer!.size, 0);
  const smaller = await cutModel(coupling, new Map([[family!.id, new Set([2])]]));
  expect(size(model) - size(smaller)).toBe(family!.unitSize[2]);
  expect(
    smaller.graph.value('shape').initializer &&
      (await smaller.graph.value('shape').initializer!.numbers()),
  ).toEqual([1, 80]);
});

test('the proof fails when another slice is gone than the one that is said to be', async () => {
  const coupling = await analyze(parseModel(textOf(inOrder)));
  const [{ id }] = coupling.families as [Family];
  const cut = new Map([[id, new Set([1])]]);
  const right = await proveCut(coupling, cut, await cutModel(coupling, cut), {}, { engine });
  expect(right).toMatchObject({ holds: true, blind: false });
  const wrong = await cutModel(coupling, new Map([[id, new Set([2])]]));
  expect(await proveCut(coupling, cut, wrong, {}, { engine })).toMatchObject({ holds: false });
});

test('the proof says so when it sees nothing', async () => {
  const model = parseModel(`main (float[2,3] x) => (float[2,2] y)
    <float[3,4] w1 = normal(seed=1), float[4,2] w2 = fill(value=0)> { a = MatMul(x, w1) y = MatMul(a, w2) }`);
  const coupling = await analyze(model);
  const cut = everySecond(coupling.families);
  const proof = await proveCut(coupling, cut, await cutModel(coupling, cut), {}, { engine });
  expect(proof).toMatchObject({ holds: true, blind: true, effect: 0 });
});

test('units that do not exist, and the last one of a family, are refused', async () => {
  const coupling = await analyze(parseModel(textOf(inOrder)));
  const [{ id, units }] = coupling.families as [Family];
  const all = new Set(Array.from({ length: units }, (_, i) => i));
  for (const cut of [
    new Map([['nobody', new Set([0])]]),
    new Map([[id, new Set([99])]]),
    new Map([[id, all]]),
  ]) {
    await expect(cutModel(coupling, cut)).rejects.toMatchObject({ code: 'usage' });
  }
});

test('sets of labels are those of a plain list of pairs, fixed ones included', () => {
  const pair = fc.tuple(fc.nat(19), fc.nat(19));
  fc.assert(
    fc.property(
      fc.array(pair, { maxLength: 30 }),
      fc.array(fc.nat(19), { maxLength: 4 }),
      fc.nat(30),
      (pairs, fixed, when) => {
        const sets = new LabelSets();
        const labels = sets.fresh(20);
        const plain = Array.from({ length: 20 }, (_, i) => i);
        const join = (a: number, b: number) => {
          const [from, to] = [plain[a], plain[b]];
          plain.forEach((each, i) => {
            if (each === from) plain[i] = to!;
          });
        };
        pairs.forEach(([a, b], i) => {
          if (i === when) for (const each of fixed) sets.fix(labels[each]!, 1);
          sets.union(labels[a]!, labels[b]!);
          join(a, b);
        });
        if (when >= pairs.length) for (const each of fixed) sets.fix(labels[each]!, 1);
        const isFixed = (i: number) => fixed.some((each) => plain[each] === plain[i]);
        for (let i = 0; i < 20; i++) {
          expect(sets.isFixed(labels[i]!)).toBe(isFixed(i));
          for (let j = 0; j < i; j++) {
            if (isFixed(i)) continue;
            expect(sets.find(labels[i]!) === sets.find(labels[j]!)).toBe(plain[i] === plain[j]);
          }
        }
      },
    ),
  );
});
