import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, HostTensor } from '../../engine/engine.js';
import { float32Of, hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { Tensor } from '../../onnx/tensor.js';
import { applyPass, passContext } from '../../pass.js';
import { runModel } from '../../testing/node-models.js';
import type { PlanDetails } from '../plan-details.js';
import { structured } from '../structured.js';
import { chain, normalRows } from '../test-families.js';
import { type RepairOptions, repair } from './repair.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine();
});
afterAll(() => engine.close());

const rows = 60;
const [inputs, hidden, outputs] = [5, 8, 3];
const x = normalRows(rows, inputs, 3);
const cutUnits = new Set([1, 6]);

/** The chain, and the same with two hidden units taken out by hand. */
async function cutChain() {
  const coupling = chain(normalRows(inputs, hidden, 1), normalRows(hidden, outputs, 2));
  const pruned = cloneModel(coupling.model);
  const kept = [...Array(hidden).keys()].filter((unit) => !cutUnits.has(unit));
  const cut = async (name: string, axis: number) => {
    const value = pruned.graph.value(name);
    const [height, width = 1] = value.initializer!.dims as [number, number];
    const numbers = await value.initializer!.numbers();
    const left = numbers.filter(
      (_, at) => !cutUnits.has(axis === 0 ? Math.floor(at / width) : at % width),
    );
    const dims = value.initializer!.dims.map((dim, at) => (at === axis ? kept.length : dim));
    expect(left.length).toBe((height * width * kept.length) / hidden);
    value.initializer = Tensor.of('float', dims, left);
  };
  await cut('w1', 1);
  await cut('b1', 0);
  await cut('w2', 0);
  return { coupling, pruned, cut: new Map([[coupling.family.id, cutUnits]]), kept };
}

async function* samples() {
  // Two shapes of batch: it must not matter how the rows are cut up.
  yield { x: tensorOf(x.slice(0, 20)) };
  yield { x: tensorOf(x.slice(20)) };
}

const tensorOf = (values: number[][]): HostTensor =>
  hostTensor('float', [values.length, inputs], Float32Array.from(values.flat()));

async function repaired(options: Partial<RepairOptions> = {}) {
  const { coupling, pruned, cut, kept } = await cutChain();
  const report = await repair(
    {
      pruned,
      coupling,
      cut,
      types: ({ name }) => {
        const dims = { x: [1, inputs], h: [1, hidden], r: [1, hidden], y: [1, outputs] }[name];
        return dims && { dataType: 'float', dims };
      },
      options: { refit: true, statistics: false, ridge: 1e-6, maxFeatures: 100, ...options },
    },
    passContext({ engine, samples }),
  );
  return { original: coupling.model, pruned, report, kept };
}

async function outputsOf(model: Model): Promise<Float32Array> {
  const { outputs } = await runModel(engine, model, { x: tensorOf(x) });
  return float32Of(outputs.y!);
}

function meanSquareError(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, at) => sum + (value - b[at]!) ** 2, 0) / a.length;
}

describe('repair', () => {
  it('is the dense least squares of what is left of the hidden width', async () => {
    const { original, pruned, report, kept } = await repaired();
    // Dense float64: normal equations of [relu(x w1) kept, 1] by Gaussian elimination.
    const first = await original.graph.value('w1').initializer!.numbers();
    const h = x.map((row) => [
      ...kept.map((unit) =>
        Math.max(
          0,
          row.reduce((sum, each, i) => sum + each * first[i * hidden + unit]!, 0),
        ),
      ),
      1,
    ]);
    const y = await outputsOf(original);
    const expected = Float32Array.from({ length: rows * outputs });
    for (let o = 0; o < outputs; o++) {
      const w = eliminate(
        h,
        [...y].filter((_, at) => at % outputs === o),
      );
      for (const [row, values] of h.entries())
        expected[row * outputs + o] = values.reduce((sum, each, i) => sum + each * w[i]!, 0);
    }
    const found = await outputsOf(pruned);
    for (const [at, value] of expected.entries()) expect(found[at]).toBeCloseTo(value, 3);
    expect(report.layers.map(({ node }) => node)).toEqual(['two']);
    const [{ errorBefore, errorAfter } = { errorBefore: 0, errorAfter: 0 }] = report.layers;
    expect(errorAfter).toBeLessThan(errorBefore! / 2);
  });

  it('leaves the layer before the cut, and the original, as they were', async () => {
    const { original, pruned } = await repaired();
    const before = await cutChain();
    expect(await pruned.graph.value('w1').initializer!.numbers()).toEqual(
      await before.pruned.graph.value('w1').initializer!.numbers(),
    );
    expect(await original.graph.value('w2').initializer!.numbers()).toEqual(
      await before.coupling.model.graph.value('w2').initializer!.numbers(),
    );
  });

  it('statistics alone bring mean and spread of every output back', async () => {
    const { original, pruned } = await repaired({ refit: false, statistics: true });
    const moments = (values: Float32Array, o: number) => {
      const own = [...values].filter((_, at) => at % outputs === o);
      const mean = own.reduce((sum, value) => sum + value, 0) / rows;
      return [mean, own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / rows];
    };
    const [before, after] = [await outputsOf(original), await outputsOf(pruned)];
    for (let o = 0; o < outputs; o++) {
      const [mean, variance] = moments(before, o);
      const [newMean, newVariance] = moments(after, o);
      expect(newMean).toBeCloseTo(mean!, 3);
      expect(newVariance! / variance!).toBeCloseTo(1, 3);
    }
  });

  it('a large ridge falls back to the plain cut, with its mean set right', async () => {
    const { original, pruned } = await repaired({ ridge: 1e9 });
    const plain = (await cutChain()).pruned;
    expect(await pruned.graph.value('w2').initializer!.floats()).toEqual(
      await plain.graph.value('w2').initializer!.floats(),
    );
    const y = await outputsOf(original);
    expect(meanSquareError(await outputsOf(pruned), y)).toBeLessThan(
      meanSquareError(await outputsOf(plain), y),
    );
  });

  it('names what it leaves', async () => {
    const { report } = await repaired({ maxFeatures: 4 });
    expect(report).toMatchObject({
      samples: 2,
      layers: [],
      left: [{ node: 'two', op: 'Gemm', reason: 'its 6 inputs are more than 4' }],
    });
  });

  it('names layers of operators that it does not fit, those behind others too', async () => {
    const model = parseModel(`main (float[1,3,6,6] x) => (float[1,2,8,8] y)
      <float[4,3,1,1] w1 = normal(seed=1), float[4,3,2,2] w2 = normal(seed=2), float[3,2,2,2] w3 = normal(seed=3)>
      { a = Conv(x, w1)  [up] b = ConvTranspose(a, w2)  [again] y = ConvTranspose(b, w3) }`);
    const { report } = await applyPass(
      model,
      structured,
      { ratio: 0.5, align: 1, criterion: 'l2' },
      {
        engine,
        async *samples() {
          yield { x: hostTensor('float', [1, 3, 6, 6], new Float32Array(108).fill(1)) };
        },
      },
    );
    const reason = 'repair does not fit the weights of ConvTranspose';
    const left = ['up', 'again'].map((node) => ({ node, op: 'ConvTranspose', reason }));
    expect((report.details as PlanDetails).repair).toMatchObject({ layers: [], left });
    expect(report.notes).toContain(`not refitted: ConvTranspose "up": ${reason}`);
  });

  it('names a weight that is computed, and not a product of two activations', async () => {
    const model = parseModel(`main (float[1,4,6] x) => (float[1,4,3] y)
      <float[6,6] w1 = normal(seed=1), float[6,6] w2 = normal(seed=2), float[6,3] w3 = normal(seed=3)>
      { a = MatMul(x, w1)  b = MatMul(x, w2)  t = Transpose<perm=[0,2,1]>(b)  [scores] s = MatMul(a, t)
        [mix] c = MatMul(s, b)  u = Identity(w3)  [out] y = MatMul(c, u) }`);
    const { report } = await applyPass(
      model,
      structured,
      { ratio: 0.3, align: 1, criterion: 'l2' },
      {
        engine,
        async *samples() {
          yield { x: hostTensor('float', [1, 4, 6], new Float32Array(24).fill(1)) };
        },
      },
    );
    expect((report.details as PlanDetails).repair).toMatchObject({
      left: [{ node: 'out', op: 'MatMul', reason: 'its weight is no constant' }],
    });
  });
});

/** Least squares by the normal equations, with pivoting. */
function eliminate(a: number[][], b: number[]): number[] {
  const n = a[0]!.length;
  const system = Array.from({ length: n }, (_, i) => [
    ...Array.from({ length: n }, (__, j) => a.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
    a.reduce((sum, row, at) => sum + row[i]! * b[at]!, 0),
  ]);
  for (let k = 0; k < n; k++) {
    const pivot = system
      .slice(k)
      .reduce(
        (best, row, at) => (Math.abs(row[k]!) > Math.abs(system[best]![k]!) ? k + at : best),
        k,
      );
    [system[k], system[pivot]] = [system[pivot]!, system[k]!];
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const factor = system[i]![k]! / system[k]![k]!;
      for (let j = k; j <= n; j++) system[i]![j]! -= factor * system[k]![j]!;
    }
  }
  return system.map((row, i) => row[n]! / row[i]!);
}
