/** What static quantization writes loads in the WASM build of ONNX Runtime and computes the same. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { createWasmEngine } from '../../engine/node-wasm.js';
import { runModel, snr } from '../../testing/node-models.js';
import { quantizeStatic, type StaticInput } from '../../testing/node-static.js';

let node: Engine;
let wasm: Engine;
beforeAll(async () => {
  [node, wasm] = await Promise.all([createNodeEngine({ threads: 1 }), createWasmEngine()]);
});
afterAll(() => Promise.all([node.close(), wasm.close()]));

/** A bit of every role: dense, depthwise and padded Conv, residual sum, pools, Concat, Gemm, MatMul. */
const text = `main (float[1,3,8,8] x) => (float[1,10] y)
  < float[8,3,3,3] a = normal(seed=1, std=0.2), float[8] ab = normal(seed=2, std=0.1),
    float[8,1,3,3] d = normal(seed=3, std=0.3), float[8,8,1,1] p = normal(seed=4, std=0.3),
    float[16,12] g = normal(seed=5, std=0.3), float[12] gb = normal(seed=6, std=0.1),
    float[12,10] m = normal(seed=7, std=0.3) >
  { c = Conv<pads = [1,1,1,1]>(x, a, ab) r = Relu(c)
    e = Conv<pads = [1,1,1,1], group = 8>(r, d) f = Conv(e, p) s = Add(f, r)
    t = MaxPool<kernel_shape = [2,2], strides = [2,2]>(s)
    u = AveragePool<kernel_shape = [2,2], strides = [2,2]>(s)
    v = Concat<axis = 1>(t, u) w = GlobalAveragePool(v) z = Flatten(w)
    h = Gemm(z, g, gb) i = Relu(h) y = MatMul(i, m) }`;

test.each<[string, StaticInput, number]>([
  ['QDQ', {}, 20],
  ['QOperator', { format: 'qoperator' }, 20],
  ['int8 activations', { activations: 'int8' }, 20],
  ['static MatMul', { matMul: 'static' }, 15],
  ['16-bit activations', { activations: 'uint16' }, 20],
  ['4-bit weights in blocks', { weights: 'int4', blockSize: 16, matMul: 'static' }, 0],
])('%s loads in WASM', async (_name, options, leastSnr) => {
  const { small, model, feeds } = await quantizeStatic(node, text, options);
  const float = await runModel(node, model, feeds[0]!);
  const native = await runModel(node, small, feeds[0]!);
  const web = await runModel(wasm, small, feeds[0]!);
  const [f, n, w] = [float, native, web].map(({ outputs }) => float32Of(outputs.y!)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  // The same integers, up to the step that another order of float sums may make.
  expect(snr(n, w)).toBeGreaterThan(35);
  expect(snr(f, w)).toBeGreaterThan(leastSnr);
});
