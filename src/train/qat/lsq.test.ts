/**
 * The gradients of weights and scales against central differences of what LSQ takes for the
 * function (Esser et al. 2020, arXiv:1902.08153): inside the range a number moves with its
 * rounding error frozen, outside it stays at the bound of the range, which the scale moves.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of, hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { cloneModel } from '../../graph/clone.js';
import { parseModel } from '../../graph/parse.js';
import { Tensor } from '../../onnx/tensor.js';
import { runModel } from '../../testing/node-models.js';
import { differentiate } from '../differentiate.js';
import { quantizedStudent } from './index.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** y = x w with 4-bit weights, whose second scale is negative, and uint8 activations. */
const text = `<ir_version: 10, opset_import: ["" : 21]>
  main (float[2,3] x) => (float loss)
  <int4[3,2] w_quantized = {1, -8, 3, 2, -4, 7}, float[2] w_scale = {0.5, -0.25},
    int4[2] w_zero_point = {0, 0}, float x_scale = {0.01}, uint8 x_zero_point = {100},
    float[2,2] c = {1, -2, 0.5, 3}> {
    q = QuantizeLinear(x, x_scale, x_zero_point)
    d = DequantizeLinear(q, x_scale, x_zero_point)
    e = DequantizeLinear<axis=1>(w_quantized, w_scale, w_zero_point)
    y = MatMul(d, e)
    weighted = Mul(y, c)
    loss = ReduceSum<keepdims=0>(weighted)
  }`;
const x = [0.123, -0.456, 1.9, -1.7, 0.777, 0.031];
/** The second and the fifth are beyond the range: 9.6 steps of -0.25, and -9.2 of 0.5. */
const w = [0.61, -2.4, 2.15, 0.55, -4.6, -1.42];
const c = [1, -2, 0.5, 3];

/** Scales are s0 exp(t). */
function loss(weights: readonly number[], ts: readonly number[], t: number): number {
  const scales = [0.5, -0.25];
  let sum = 0;
  for (const n of [0, 1]) {
    for (const j of [0, 1]) {
      for (const i of [0, 1, 2]) {
        const of = 0.01 * Math.exp(t);
        const input = moving(x[3 * n + i]!, x[3 * n + i]!, of, 0.01, -100, 155);
        const at = 2 * i + j;
        const scale = scales[j]! * Math.exp(ts[j]!);
        sum += c[2 * n + j]! * input * moving(weights[at]!, w[at]!, scale, scales[j]!, -8, 7);
      }
    }
  }
  return sum;
}

/** What a number stands for that was `start` under the scale s0, and is `now` under s. */
function moving(now: number, start: number, s: number, s0: number, low: number, high: number) {
  const steps = start / s0;
  if (steps < low) return low * s;
  if (steps > high) return high * s;
  return now + s * (Math.round(steps) - steps);
}

function slope(of: (by: number) => number): number {
  const by = 1e-5;
  return (of(by) - of(-by)) / (2 * by);
}

test('weights, their scales and the scale of an activation', async () => {
  const student = (await quantizedStudent(
    parseModel(text),
    { freeze: [], scaleRate: 1, origin: undefined },
    engine,
  ))!;
  const model = cloneModel(student.form);
  const named = (end: string) => [...student.groups.keys()].find((name) => name.endsWith(end))!;
  const float = named('w');
  model.graph.value(float).initializer = Tensor.of('float', [3, 2], w);
  const wanted = [float, named('w_scale/log_factor'), named('x_scale/log_factor')];
  const { gradients } = await differentiate(
    model,
    { loss: 'loss', wanted, asOutputs: true },
    { engine },
  );
  const { outputs } = await runModel(engine, model, {
    x: hostTensor('float', [2, 3], Float32Array.from(x)),
  });
  const found = wanted.map((name) => [...float32Of(outputs[gradients.get(name)!.name]!)]);
  const expected = [
    w.map((_, at) =>
      slope((by) =>
        loss(
          w.map((weight, i) => (i === at ? weight + by : weight)),
          [0, 0],
          0,
        ),
      ),
    ),
    [slope((by) => loss(w, [by, 0], 0)), slope((by) => loss(w, [0, by], 0))],
    [slope((by) => loss(w, [0, 0], by))],
  ];
  for (const [at, numbers] of expected.entries()) {
    expect(found[at]).toHaveLength(numbers.length);
    for (const [i, number] of numbers.entries()) expect(found[at]![i]).toBeCloseTo(number, 3);
  }
  // The case has all there is: weights inside and outside of the range.
  expect(found[0]!.filter((slope) => slope === 0).length).toBeGreaterThan(0);
});
