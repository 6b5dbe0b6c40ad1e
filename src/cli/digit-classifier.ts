/**
 * The network of `pare demo`, with random weights: two strided convolutions and two dense layers,
 * written node by node as a library's user would. Trains nothing.
 */
import type { Graph } from '../graph/graph.js';
import { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom, type Random } from '../random.js';

const side = 28;
const classes = 10;

/** Digits [N,1,28,28] from 0 to 1 to logits [N,10]; the same seed gives the same weights. */
export function digitClassifier(seed: number): Model {
  const model = new Model({ irVersion: 8, opsets: [['', 17]] });
  const { graph } = model;
  graph.name = 'digits';
  const random = createRandom(seed);
  const image = graph.addInput('image', tensorType('float', ['N', 1, side, side]));
  const maps = convolution(
    graph,
    random,
    'conv2',
    convolution(graph, random, 'conv1', image, 1, 16),
    16,
    32,
  );
  const flat = graph
    .addNode({ opType: 'Flatten', name: 'flatten', inputs: [maps], attributes: { axis: 1 } })
    .output();
  const hidden = relu(graph, dense(graph, random, 'fc1', flat, (32 * side * side) / 16, 128));
  const logits = dense(graph, random, 'fc2', hidden, 128, classes);
  logits.rename('logits');
  logits.type = tensorType('float', ['N', classes]);
  graph.outputs.push(logits);
  return model;
}

/** 3x3, half the size, with ReLU. */
function convolution(
  graph: Graph,
  random: Random,
  name: string,
  x: Value,
  channels: number,
  filters: number,
): Value {
  const inputs = [x, ...parameters(graph, random, name, [filters, channels, 3, 3])];
  const attributes = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
  return relu(graph, graph.addNode({ opType: 'Conv', name, inputs, attributes }).output());
}

function dense(
  graph: Graph,
  random: Random,
  name: string,
  x: Value,
  features: number,
  outputs: number,
): Value {
  const inputs = [x, ...parameters(graph, random, name, [outputs, features])];
  return graph.addNode({ opType: 'Gemm', name, inputs, attributes: { transB: 1 } }).output();
}

function relu(graph: Graph, x: Value): Value {
  return graph.addNode({ opType: 'Relu', name: `${x.producer!.name}/relu`, inputs: [x] }).output();
}

/** Weight and bias; deviation sqrt(2 / inputs), after He et al. 2015, arXiv:1502.01852. */
function parameters(graph: Graph, random: Random, name: string, dims: readonly number[]): Value[] {
  const [outputs, ...rest] = dims as [number, ...number[]];
  const inputs = rest.reduce((product, dim) => product * dim, 1);
  const deviation = Math.sqrt(2 / inputs);
  const weight = Float32Array.from({ length: outputs * inputs }, () => deviation * random.normal());
  return [
    graph.addInitializer(`${name}.weight`, Tensor.of('float', dims, weight)),
    graph.addInitializer(`${name}.bias`, Tensor.of('float', [outputs], new Float32Array(outputs))),
  ];
}
