import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of, hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { Tensor } from '../../onnx/tensor.js';
import { passContext } from '../../pass.js';
import { createRandom } from '../../random.js';
import { runModel } from '../../testing/node-models.js';
import { quantizeStatic, samplesOf } from '../../testing/node-static.js';
import { channelMeans, meanShift } from './bias-correction.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const means = (float: number[], quantized: number[]) => ({
  float: Float64Array.from(float),
  quantized: Float64Array.from(quantized),
});

describe('the shift of every output channel', () => {
  const weights = {
    float: Float32Array.of(1, 2, 3, 4, 5, 6),
    quantized: Float32Array.of(1.5, 2, 3, 4, 5, 5),
  };
  const both = means([1, 2, 3], [1, 2, 2]);

  test('of [2,3], output channels first', () => {
    // 1.5 + 4 + 6 - (1 + 4 + 9), 4 + 10 + 10 - (4 + 10 + 18)
    expect([...meanShift(weights, [2, 3], 0, 1, both)]).toEqual([-2.5, -8]);
  });

  test('of [3,2], output channels last', () => {
    // 1.5*1 + 3*2 + 5*2 - (1 + 6 + 15), 2*1 + 4*2 + 5*2 - (2 + 8 + 18)
    expect([...meanShift(weights, [3, 2], 1, 1, both)]).toEqual([-4.5, -8]);
  });

  test('adds up the taps of a kernel', () => {
    // One output channel, one input channel of six taps: 20.5 * 2 - 21 * 3.
    const shift = meanShift(weights, [1, 1, 2, 3], 0, 1, means([3], [2]));
    expect([...shift]).toEqual([20.5 * 2 - 21 * 3]);
  });

  test('of a grouped convolution sees the inputs of its group', () => {
    // [3,2] in three groups: output c sees inputs 2c and 2c + 1.
    const inputs = means([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 5]);
    const shift = meanShift(weights, [3, 2, 1, 1], 0, 3, inputs);
    expect([...shift]).toEqual([0.5, 0, 5 * 5 + 5 * 5 - (5 * 5 + 6 * 6)]);
  });
});

test('means are those of the values and of their rounded form, however they are batched', async () => {
  const model = parseModel('main (float[N,2,3] x) => (float[N,2,3] y) { y = Relu(x) }');
  const random = createRandom(3);
  const samples = Array.from({ length: 3 }, (_, n) =>
    Float32Array.from({ length: 6 * (n + 1) }, () => 2 * random.normal()),
  );
  const parameters = { dataType: 'uint8' as const, scale: 0.5, zeroPoint: 2 };
  const request = { name: 'x', axis: 1, rank: 3, parameters };
  const feeds = samples.map((data, n) => ({ x: hostTensor('float', [n + 1, 2, 3], data) }));
  const found = await channelMeans(model, [request], samplesOf(feeds), passContext({ engine }));
  const all = samples.flatMap((data) => [...data]);
  for (const channel of [0, 1]) {
    const mine = all.filter((_, i) => Math.floor(i / 3) % 2 === channel);
    const mean = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;
    const { float, quantized } = found.get('x')!;
    expect(float[channel]).toBeCloseTo(mean(mine), 5);
    // No draw lies on a tie; -2 integers is where uint8 ends.
    const rounded = mine.map((x) => 0.5 * Math.max(-2, Math.round(x / 0.5)));
    expect(quantized[channel]).toBeCloseTo(mean(rounded), 5);
  }
});

test.each([
  ['Conv', '[4,8,1,1]', 'y = Conv(x, w)'],
  ['grouped Conv', '[8,4,1,1]', 'y = Conv<group = 2>(x, w)'],
])('takes the mean error out of a %s with one coarse weight scale', async (_name, dims, node) => {
  const channels = dims.startsWith('[4') ? 4 : 8;
  const model = parseModel(`main (float[1,8,6,6] x) => (float[1,${channels},6,6] y)
    < float${dims} w = normal(seed=5, std=0.1) > { [a] ${node} }`);
  // One large weight makes the steps of all others coarse.
  const weight = await model.graph.value('w').initializer!.floats();
  weight[0] = 12;
  model.graph.value('w').initializer = Tensor.of(
    'float',
    dims.slice(1, -1).split(',').map(Number),
    weight,
  );
  const random = createRandom(8);
  const feeds = Array.from({ length: 4 }, () => ({
    x: hostTensor(
      'float',
      [1, 8, 6, 6],
      Float32Array.from({ length: 288 }, () => 1 + 0.3 * random.normal()),
    ),
  }));
  /** Largest mean error of a channel over all samples. */
  const meanError = async (biasCorrection: boolean) => {
    const options = { biasCorrection, perChannel: false, calibrator: 'min-max' } as const;
    const { small } = await quantizeStatic(engine, model, options, feeds);
    const sums = new Float64Array(channels);
    for (const feed of feeds) {
      const exact = float32Of((await runModel(engine, model, feed)).outputs.y!);
      const rounded = float32Of((await runModel(engine, small, feed)).outputs.y!);
      for (const [i, value] of exact.entries()) sums[Math.floor(i / 36)]! += rounded[i]! - value;
    }
    return Math.max(...sums.map((sum) => Math.abs(sum / (36 * feeds.length))));
  };
  const [without, corrected] = [await meanError(false), await meanError(true)];
  expect(corrected).toBeLessThan(without / 3);
});
