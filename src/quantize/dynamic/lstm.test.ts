import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { type QuantizeOptions, quantizeDynamic } from '../../testing/node-dynamic.js';
import { firstOutput, opsOf, runModel, snr } from '../../testing/node-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const quantized = (text: string, options?: QuantizeOptions) =>
  quantizeDynamic(engine, text, options);

describe('LSTM', () => {
  const lstm = (options: {
    directions?: number;
    states?: boolean;
    lengths?: boolean;
    peepholes?: boolean;
  }) => {
    const d = options.directions ?? 1;
    const direction = d === 2 ? 'bidirectional' : 'forward';
    const rest = [
      options.lengths ? 'lengths' : '""',
      options.states ? 'h0' : '""',
      options.states ? 'c0' : '""',
      options.peepholes ? 'p' : '""',
    ].join(', ');
    return `main (float[6,2,24] x, float[${d},2,16] h0, float[${d},2,16] c0)
        => (float[6,${d},2,16] y, float[${d},2,16] h, float[${d},2,16] c)
      < float[${d},64,24] w = normal(seed=1, std=0.2), float[${d},64,16] r = normal(seed=2, std=0.2),
        float[${d},128] b = normal(seed=3, std=0.1), float[${d},48] p = normal(seed=4, std=0.3),
        int32[2] lengths = {6, 3} >
      { y, h, c = LSTM<hidden_size = 16, direction = "${direction}">(x, w, r, b, ${rest}) }`;
  };

  test.each([
    ['forward', {}],
    ['bidirectional', { directions: 2 }],
    ['with initial states', { states: true }],
    ['with sequence lengths', { lengths: true }],
    ['with peepholes', { peepholes: true }],
    ['with everything', { directions: 2, states: true, lengths: true, peepholes: true }],
  ])('%s', async (_name, options) => {
    for (const perChannel of [true, false]) {
      const { model, small } = await quantized(lstm(options), { perChannel });
      expect(opsOf(small)).toEqual({ DynamicQuantizeLSTM: 1 });
      const { feeds, outputs } = await runModel(engine, model);
      const results = await runModel(engine, small, feeds);
      for (const name of ['y', 'h', 'c']) {
        const [a, b] = [outputs[name]!, results.outputs[name]!];
        expect(b.dims).toEqual(a.dims);
        expect(snr(float32Of(a), float32Of(b)), name).toBeGreaterThan(25);
      }
    }
  });

  test('without bias, and with weights shared by two nodes', async () => {
    const { small } = await quantized(
      `main (float[6,2,16] x) => (float[6,1,2,16] z)
       < float[1,64,16] w = normal(seed=1, std=0.2), float[1,64,16] r = normal(seed=2, std=0.2), int64[1] a = {1} >
       { y = LSTM<hidden_size = 16>(x, w, r) s = Squeeze(y, a) z = LSTM<hidden_size = 16>(s, w, r) }`,
    );
    expect(opsOf(small).DynamicQuantizeLSTM).toBe(2);
    const stored = small.graph.initializers.filter((v) => v.initializer!.size === 1024);
    expect(stored).toHaveLength(2);
    await firstOutput(engine, small);
  });

  test('batch-first layout is refused', async () => {
    const { report } = await quantized(lstm({}).replace('hidden_size', 'layout = 1, hidden_size'));
    expect(report.skipped[0]!.reason).toContain('batch-first');
  });
});
