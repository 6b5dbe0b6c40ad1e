/**
 * A small network with a residual sum, and data in memory, for the tests of this folder. Not part of
 * the library's interface.
 */
import type { Dataset } from '../data/dataset.js';
import { hostTensor } from '../engine/host-tensor.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { createRandom } from '../random.js';

/**
 * x [N,2,4,4] -> conv1 (5) -> Relu -> conv2 (5) -> + -> Relu -> mean -> fc (4) -> logits [N,3]. Unit
 * 3 of conv1 is dead: its weights are zero.
 */
export function residualNet(seed = 1): Model {
  const random = createRandom(seed);
  const numbers = (count: number, zero: (at: number) => boolean = () => false) =>
    Array.from({ length: count }, (_, at) =>
      zero(at) ? 0 : (random.normal() * 0.6).toFixed(3),
    ).join(', ');
  const isDead = (at: number) => Math.floor(at / 18) === 3;
  return parseModel(`<ir_version: 10, opset_import: ["" : 17]>
    main (float[N,2,4,4] x) => (float[N,3] logits)
    <float[5,2,3,3] w1 = {${numbers(90, isDead)}}, float[5] b1 = {0.1, 0.2, 0, 0, 0.1},
     float[5,5,3,3] w2 = {${numbers(225)}}, float[5] b2 = {0, 0.1, 0, 0.2, 0},
     float[5,4] w3 = {${numbers(20)}}, float[4] b3 = {0.1, 0, 0, 0.2},
     float[4,3] w4 = {${numbers(12)}}, float[3] b4 = {0, 0, 0.1}> {
      [conv1] h1 = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
      r1 = Relu(h1)
      [conv2] h2 = Conv<pads = [1, 1, 1, 1]>(r1, w2, b2)
      s = Add(h2, r1)
      r2 = Relu(s)
      p = GlobalAveragePool(r2)
      f = Flatten(p)
      [fc] h3 = Gemm(f, w3, b3)
      r3 = Tanh(h3)
      [last] logits = Gemm(r3, w4, b4)
    }`);
}

/** Seeded normal samples of these dims; every fifth has no label. */
export function normalData(size: number, dims: readonly number[], classes: number): Dataset {
  const random = createRandom(7);
  const length = dims.reduce((a, b) => a * b, 1);
  const samples = Array.from({ length: size }, (_, at) => ({
    id: `sample ${at}`,
    inputs: {
      x: hostTensor(
        'float',
        dims,
        Float32Array.from({ length }, () => random.normal()),
      ),
    },
    label: at % 5 === 4 ? undefined : random.int(classes),
  }));
  return {
    name: 'normal',
    size,
    hasLabels: true,
    preprocessing: '',
    async *samples(indices) {
      for (const at of Array.from(indices ?? samples.keys())) yield samples[at]!;
    },
    fingerprint: async () => 'normal',
  };
}
