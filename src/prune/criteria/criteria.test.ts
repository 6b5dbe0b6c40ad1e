import { describe, expect, it } from 'vitest';
import { PareError } from '../../errors.js';
import { Model } from '../../graph/model.js';
import { tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { scoresOf } from '../scores.js';
import { chain, makeFamily, weightsOf } from '../test-families.js';
import type { CriterionData } from './criterion.js';
import { criteria, criterionNamed } from './index.js';

/** Three hidden units; unit 0 is (1,-2 | 3), unit 1 (0,1 | 0), unit 2 (2,2 | -1). */
const small = () =>
  chain(
    [
      [1, 0, 2],
      [-2, 1, 2],
    ],
    [[3], [0], [-1]],
  );

const data = async (more: Partial<CriterionData> = {}): Promise<CriterionData> => ({
  weights: await weightsOf(small().family),
  seed: 0,
  ...more,
});

const rowsOf = async (name: string, more: Partial<CriterionData> = {}) => {
  const rows = criterionNamed(name).score(small().family, await data(more));
  return 'reason' in rows ? rows : rows.map((row) => Array.from(row));
};

const activations = new Map([
  [
    'r',
    {
      meanMagnitude: Float64Array.of(1, 2, 0.5),
      meanSquare: Float64Array.of(4, 9, 1),
      zeroShare: Float64Array.of(0.5, 0.25, 0.75),
    },
  ],
]);

describe('criteria of weights', () => {
  it('l1 sums magnitudes over the filter and over what reads it', async () => {
    expect(await rowsOf('l1')).toEqual([
      [3, 1, 4],
      [3, 0, 1],
    ]);
  });

  it('l2 sums squares', async () => {
    expect(await rowsOf('l2')).toEqual([
      [5, 1, 8],
      [9, 0, 1],
    ]);
  });

  it('lamp divides by all squares that are not smaller', async () => {
    expect(await rowsOf('lamp')).toEqual([
      [5 / 13, 1 / 14, 1],
      [1, 0, 1 / 10],
    ]);
  });

  it('fpgm sums true distances of the producing filters', async () => {
    // (1,-2), (0,1), (2,2): distances sqrt(10), sqrt(17), sqrt(5).
    const [a, b, c] = [Math.sqrt(10), Math.sqrt(17), Math.sqrt(5)];
    const [row, ...others] = (await rowsOf('fpgm')) as number[][];
    expect(others).toEqual([]);
    expect(row![0]).toBeCloseTo(a + b, 12);
    expect(row![1]).toBeCloseTo(a + c, 12);
    expect(row![2]).toBeCloseTo(b + c, 12);
  });

  it('random depends on the seed and the family alone', async () => {
    const once = await rowsOf('random');
    expect(await rowsOf('random')).toEqual(once);
    expect(await rowsOf('random', { seed: 1 })).not.toEqual(once);
  });

  it('bn-scale reads the scale, and refuses a family without one', async () => {
    expect(await rowsOf('bn-scale')).toEqual({ reason: 'no BatchNormalization scales its units' });
    const model = new Model({ opsets: [['', 17]] });
    const { graph } = model;
    const x = graph.addInput('x', tensorType('float', [1, 2, 3, 3]));
    const [scale, bias, mean, variance] = ['scale', 'bias', 'mean', 'variance'].map((name) =>
      graph.addInitializer(name, Tensor.of('float', [2], name === 'scale' ? [-3, 2] : [9, 9])),
    );
    const inputs = [x, scale, bias, mean, variance];
    const node = graph.addNode({ opType: 'BatchNormalization', inputs });
    const family = makeFamily('bn', 2, {
      members: inputs.slice(1).map((value) => [value!, 0, node, 'other'] as const),
    });
    const weights = await weightsOf(family);
    expect(criterionNamed('bn-scale').score(family, { weights, seed: 0 })).toEqual([
      Float64Array.of(3, 2),
    ]);
  });

  it('averages over the indices of a unit, so that wide units compare with narrow ones', async () => {
    const { family } = small();
    const unitOf = Int32Array.of(0, 1, 1);
    const members = family.members.map((member) => ({ ...member, unitOf }));
    const rows = criterionNamed('l1').score({ ...family, units: 2, members }, await data());
    expect(rows).toEqual([Float64Array.of(3, 2.5), Float64Array.of(3, 0.5)]);
  });
});

describe('criteria of activations', () => {
  it('activation, apoz and wanda look at what consumers read', async () => {
    expect(await rowsOf('activation', { activations })).toEqual([[1, 2, 0.5]]);
    expect(await rowsOf('apoz', { activations })).toEqual([[0.5, 0.75, 0.25]]);
    expect(await rowsOf('wanda', { activations })).toEqual([[6, 0, 1]]);
  });

  it('apoz says when nothing is ever zero', async () => {
    const never = new Map([['r', { ...activations.get('r')!, zeroShare: new Float64Array(3) }]]);
    expect(await rowsOf('apoz', { activations: never })).toHaveProperty('reason');
  });

  it('say what they miss', async () => {
    for (const { name, need } of criteria) {
      if (need === 'weights') continue;
      const error = await rowsOf(name).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(PareError);
      expect(String(error)).toContain(need === 'gradients' ? 'gradient' : 'activations');
    }
  });
});

describe('criteria of gradients', () => {
  const gradients = new Map([
    ['w1', { mean: Float32Array.of(1, 1, 1, 1, 1, -1), meanSquare: new Float32Array(6).fill(2) }],
    ['w2', { mean: Float32Array.of(-1, 1, 1), meanSquare: Float32Array.of(1, 2, 4) }],
  ]);

  it('taylor is |sum of w g| per slice', async () => {
    expect(await rowsOf('taylor', { gradients })).toEqual([
      [1, 1, 0],
      [3, 0, 1],
    ]);
  });

  it('hessian is half of w^2 E[g^2]', async () => {
    expect(await rowsOf('hessian', { gradients })).toEqual([
      [5, 1, 8],
      [4.5, 0, 2],
    ]);
  });
});

describe('scores', () => {
  const rows = [Float64Array.of(1, 2, 6), Float64Array.of(3, 2, 0)];

  it('are reduced over the members', () => {
    const reduced = (name: Parameters<typeof scoresOf>[1]) =>
      Array.from(scoresOf(rows, name, 'none'));
    expect(reduced('mean')).toEqual([2, 2, 3]);
    expect(reduced('sum')).toEqual([4, 4, 6]);
    expect(reduced('max')).toEqual([3, 2, 6]);
    expect(reduced('first')).toEqual([1, 2, 6]);
    expect(reduced('prod')).toEqual([3, 4, 0]);
  });

  it('are normalized over the family', () => {
    const normalized = (name: Parameters<typeof scoresOf>[2]) =>
      Array.from(scoresOf([Float64Array.of(1, 2, 6)], 'first', name));
    expect(normalized('mean')).toEqual([1 / 3, 2 / 3, 2]);
    expect(normalized('sum')).toEqual([1 / 9, 2 / 9, 6 / 9]);
    expect(normalized('max')).toEqual([1 / 6, 2 / 6, 1]);
    expect(normalized('standardize')).toEqual([0, 0.2, 1]);
    expect(normalized('lamp')).toEqual([1 / 9, 2 / 8, 1]);
  });

  it('of a family of zeros stay zeros', () => {
    for (const name of ['mean', 'sum', 'max', 'standardize', 'lamp'] as const) {
      expect(Array.from(scoresOf([new Float64Array(2)], 'first', name))).toEqual([0, 0]);
    }
  });
});
