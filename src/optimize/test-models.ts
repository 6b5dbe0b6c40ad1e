/**
 * A small classifier with one node that int8 activations destroy, as one MatMul of kwt1 is. For
 * tests only; not part of the library's interface.
 */
import type { Dataset } from '../data/dataset.js';
import { hostTensor } from '../engine/host-tensor.js';
import { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom } from '../random.js';

const width = 32;
const classes = 8;

/**
 * x [N,32] through four MatMuls. The first adds 5000 to its channel 0, and "fragile" multiplies
 * that channel by 0: nothing in float, but with a scale for 5000 in 255 steps the other channels
 * of the input of "fragile" are rounded to zero. All other nodes stand int8 well.
 */
export function fragileChain(): Model {
  const random = createRandom(1);
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const weight = (name: string, outputs: number, at: (row: number) => number = () => 1) => {
    const numbers = Array.from(
      { length: width * outputs },
      (_, i) => (at(Math.floor(i / outputs)) * random.normal()) / Math.sqrt(width),
    );
    return graph.addInitializer(name, Tensor.of('float', [width, outputs], numbers));
  };
  const matMul = (name: string, x: Value, w: Value) =>
    graph.addNode({ opType: 'MatMul', name, inputs: [x, w], outputs: [`${name}_out`] }).output();
  const relu = (x: Value, name: string) =>
    graph.addNode({ opType: 'Relu', name, inputs: [x], outputs: [`${name}_out`] }).output();
  const x = graph.addInput('x', tensorType('float', ['N', width]));
  const offset = Array.from({ length: width }, (_, at) => (at === 0 ? 5000 : 0));
  const b = graph.addInitializer('b', Tensor.of('float', [width], offset));
  const first = matMul('first', x, weight('w1', width));
  const biased = graph
    .addNode({ opType: 'Add', name: 'bias', inputs: [first, b], outputs: ['biased'] })
    .output();
  const spread = relu(biased, 'relu1');
  const fragile = matMul(
    'fragile',
    spread,
    weight('w2', width, (row) => (row === 0 ? 0 : 3)),
  );
  const third = matMul('third', relu(fragile, 'relu2'), weight('w3', width));
  const logits = matMul('head', relu(third, 'relu3'), weight('w4', classes));
  logits.type = tensorType('float', ['N', classes]);
  graph.outputs.push(logits);
  return model;
}

/** Unlabelled noise for `fragileChain`. */
export function noiseData(size: number, more: Partial<Dataset> = {}): Dataset {
  return {
    name: 'noise',
    size,
    hasLabels: false,
    preprocessing: 'none',
    async *samples(indices = Uint32Array.from({ length: size }, (_, at) => at)) {
      for (const at of Array.from(indices)) {
        const random = createRandom(at);
        const data = Float32Array.from({ length: width }, () => random.normal());
        yield { id: String(at), inputs: { x: hostTensor('float', [width], data) } };
      }
    },
    fingerprint: async () => 'noise',
    ...more,
  };
}
