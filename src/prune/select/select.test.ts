import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConcreteType } from '../../ops/cost.js';
import { createRandom } from '../../random.js';
import { chain, makeFamily, normalRows } from '../test-families.js';
import { alignmentOf, keptCounts } from './align.js';
import { type CostModel, costModel } from './cost.js';
import { planMoves, scopeNames } from './moves.js';
import { type PruneTarget, selectUnits } from './select.js';

/** Families whose units cost one MAC, parameter and byte each. */
function unitCosts(sizes: readonly number[]): CostModel {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const cost = (left: number) => ({ macs: left, parameters: left, bytes: left });
  return {
    full: cost(total),
    of: (cut) => cost(total - [...cut.values()].reduce((sum, { size }) => sum + size, 0)),
    macsPerUnit: ({ units }) => new Float64Array(units).fill(1),
  };
}

function scored(sizes: readonly number[], seed: number) {
  const { next } = createRandom(seed);
  return sizes.map((units, at) => ({
    family: makeFamily(`f${at}`, units, { structure: `s${at % 2}` }),
    scores: Float64Array.from({ length: units }, next),
  }));
}

const sizesArb = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 6 });
const alignArb = fc.constantFrom(1, 4, 8, 16);
const scopeArb = fc.constantFrom(...scopeNames);
const shareArb = fc.double({ min: 0, max: 1, noNaN: true });

describe('keptCounts', () => {
  it('rounds kept channels up to the alignment, and halves it for narrow widths', () => {
    expect(keptCounts({ units: 64, unitWidth: 1 }, 16, 0.8)).toEqual([48, 32, 16]);
    expect(keptCounts({ units: 50, unitWidth: 1 }, 16, 1)).toEqual([48, 32, 16]);
    expect(keptCounts({ units: 16, unitWidth: 1 }, 16, 1)).toEqual([8]);
    expect(keptCounts({ units: 12, unitWidth: 64 }, 16, 0.5)).toEqual([11, 10, 9, 8, 7, 6]);
    expect(keptCounts({ units: 6, unitWidth: 8 }, 16, 1)).toEqual([4, 2]);
    expect(keptCounts({ units: 1, unitWidth: 1 }, 16, 1)).toEqual([]);
    expect(keptCounts({ units: 10, unitWidth: 1 }, 1, 0.9).at(-1)).toBe(1);
    expect(alignmentOf(3, 16)).toBe(1);
  });

  it('goes on behind an earlier cut as if there had been one', () => {
    const units = fc.integer({ min: 1, max: 200 });
    fc.assert(
      fc.property(
        units,
        fc.constantFrom(1, 8),
        alignArb,
        shareArb,
        (all, unitWidth, align, most) => {
          const counts = keptCounts({ units: all, unitWidth }, align, most);
          for (const [at, kept] of counts.entries()) {
            const rest = keptCounts({ units: kept, unitWidth }, align, most, all);
            expect(rest).toEqual(counts.slice(at + 1));
          }
        },
      ),
    );
  });
});

describe('planMoves', () => {
  it('is a nested sequence that keeps the limits', () => {
    fc.assert(
      fc.property(
        sizesArb,
        alignArb,
        scopeArb,
        shareArb,
        fc.nat(99),
        (sizes, align, scope, largestShare, seed) => {
          const families = scored(sizes, seed);
          const moves = planMoves(families, { scope, align, largestShare });
          let before = moves.cut(0);
          expect(before.size).toBe(0);
          for (let count = 1; count <= moves.list.length; count++) {
            const cut = moves.cut(count);
            for (const [id, units] of before) {
              for (const unit of units) expect(cut.get(id)!.has(unit)).toBe(true);
            }
            before = cut;
          }
          for (const { family, scores } of families) {
            const gone = before.get(family.id) ?? new Set();
            const kept = family.units - gone.size;
            expect(kept).toBeGreaterThan(0);
            expect(gone.size).toBeLessThanOrEqual(family.units * largestShare + 1e-9);
            if (gone.size > 0) expect(kept % alignmentOf(family.units, align)).toBe(0);
            const worstKept = Math.min(...[...scores].filter((_, unit) => !gone.has(unit)));
            for (const unit of gone) expect(scores[unit]).toBeLessThanOrEqual(worstKept);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('compares units with those of their scope only', () => {
    const families = [
      { family: makeFamily('low', 4), scores: Float64Array.of(1, 2, 3, 4) },
      { family: makeFamily('high', 4), scores: Float64Array.of(11, 12, 13, 14) },
    ];
    const firstFour = (scope: 'per-layer' | 'global') =>
      planMoves(families, { scope, align: 1, largestShare: 0.75 }).cut(4);
    expect([...firstFour('per-layer')].map(([id, { size }]) => [id, size])).toEqual([
      ['low', 2],
      ['high', 2],
    ]);
    expect([...firstFour('global')].map(([id, { size }]) => [id, size])).toEqual([
      ['low', 3],
      ['high', 1],
    ]);
  });

  it('isomorphic: a family competes with those of its structure', () => {
    const families = ['a', 'a', 'b'].map((structure, at) => ({
      family: makeFamily(`f${at}`, 4, { structure }),
      scores: Float64Array.from([1, 2, 3, 4], (score) => score + 10 * at),
    }));
    const moves = planMoves(families, { scope: 'isomorphic', align: 1, largestShare: 1 });
    // A quarter of the eight units of structure a, all from its low family, and of the four of b.
    const cut = moves.cut(moves.list.filter(({ key }) => key <= 0.25).length);
    expect([...cut].map(([id, units]) => [id, [...units]])).toEqual([
      ['f0', [0, 1]],
      ['f2', [0]],
    ]);
  });
});

describe('selectUnits', () => {
  it('meets the target with no move more than it takes, or says what is reached', () => {
    fc.assert(
      fc.property(
        sizesArb,
        alignArb,
        scopeArb,
        shareArb,
        fc.nat(99),
        (...[sizes, align, ...more]) => {
          const [scope, share, seed] = more;
          const families = scored(sizes, seed);
          const costs = unitCosts(sizes);
          const options = { scope, align, largestShare: 0.8 };
          const moves = planMoves(families, options);
          const wanted = costs.full.macs * (1 - share);
          const best = costs.of(moves.cut(moves.list.length)).macs;
          const select = () => selectUnits(families, { kind: 'macs', share }, costs, options);
          if (best > wanted + 1e-9) {
            expect(select).toThrow(/cannot be reached; at most/);
            return;
          }
          const { cut, after } = select();
          expect(after.macs).toBeLessThanOrEqual(wanted + 1e-9);
          for (const { family, scores } of families) {
            const gone = cut.get(family.id);
            if (!gone) continue;
            const kept = family.units - gone.size;
            const counts = [family.units, ...keptCounts(family, align, 0.8)];
            const before = counts[counts.indexOf(kept) - 1]!;
            expect(after.macs + before - kept).toBeGreaterThan(wanted);
            const worstKept = Math.min(...[...scores].filter((_, unit) => !gone.has(unit)));
            for (const unit of gone) expect(scores[unit]).toBeLessThanOrEqual(worstKept);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('gives back what an overshooting move makes unnecessary', () => {
    const families = [
      { family: makeFamily('narrow', 8), scores: Float64Array.from({ length: 8 }, (_, at) => at) },
      { family: makeFamily('wide', 64), scores: new Float64Array(64).fill(100) },
    ];
    const { cut, after } = selectUnits(families, { kind: 'macs', share: 0.2 }, unitCosts([8, 64]), {
      scope: 'global',
      align: 16,
      largestShare: 0.8,
    });
    // 15 of 72 units have to leave. The narrow family would leave first, with 4, and is too little.
    expect([...cut].map(([id, { size }]) => [id, size])).toEqual([['wide', 16]]);
    expect(after.macs).toBe(56);
  });

  it('ratio: every family of a per-layer scope loses its share, kept rounded up', () => {
    const families = scored([10, 64], 1);
    const select = (align: number) =>
      selectUnits(families, { kind: 'ratio', share: 0.25 }, unitCosts([10, 64]), {
        scope: 'per-layer',
        align,
        largestShare: 0.8,
      }).cut;
    expect([...select(1)].map(([, { size }]) => size)).toEqual([2, 16]);
    expect([...select(16)].map(([, { size }]) => size)).toEqual([2, 16]);
    expect([...select(32)].map(([, { size }]) => size)).toEqual([2]);
  });

  it('names the limit that stands in the way', () => {
    const families = scored([64], 1);
    const select = (align: number, largestShare: number, target: PruneTarget) => () =>
      selectUnits(families, target, unitCosts([64]), { scope: 'global', align, largestShare });
    const most = { kind: 'macs', share: 0.9 } as const;
    expect(select(1, 0.5, most)).toThrow(
      expect.objectContaining({ code: 'budget', hint: expect.stringContaining('largest share') }),
    );
    expect(select(32, 1, most)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('alignment (32)') }),
    );
    // Either limit hides behind the other.
    expect(select(32, 0.6, most)).toThrow(
      expect.objectContaining({
        hint: expect.stringMatching(/largest share .* and the alignment/),
      }),
    );
    expect(select(1, 1, { kind: 'size', bytes: 0 })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('every width') }),
    );
  });
});

describe('costModel', () => {
  it('counts what is left from the shapes', async () => {
    const { model, family, ...coupling } = chain(normalRows(5, 6, 1), normalRows(6, 3, 2));
    const dims: Record<string, number[]> = { x: [1, 5], h: [1, 6], r: [1, 6], y: [1, 3] };
    const costs = await costModel({ ...coupling, model }, (value): ConcreteType | undefined => {
      const known = dims[value.name] ?? value.initializer?.dims;
      return known && { dataType: 'float', dims: known };
    });
    expect(costs.full).toMatchObject({ macs: 48, parameters: 30 + 6 + 18 + 3 });
    expect(Array.from(costs.macsPerUnit(family))).toEqual(Array(6).fill(8));
    const after = costs.of(new Map([[family.id, new Set([0, 4])]]));
    expect(after).toEqual({ macs: 32, parameters: 57 - 18, bytes: costs.full.bytes - 72 });
  });
});
