import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { Emitter } from './emitter.js';
import { Model } from './model.js';
import { tensorType } from './value-type.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

describe('split', () => {
  test.each([1, 7, 8, 20])('into %i parts', async (count) => {
    const sizes = Array.from({ length: count }, (_, at) => 1 + (at % 3));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const model = new Model({ opsets: [['', 18]] });
    const { graph } = model;
    const x = graph.addInput('x', tensorType('float', [2, total]));
    const e = new Emitter(graph);
    const parts = e.split(x, sizes, 1);
    graph.outputs.push(...parts.map((part) => e.op('Identity', [part])));
    // What a kernel of WebGPU may bind: the input and 7 outputs.
    for (const node of graph.nodes) expect(node.outputs.length).toBeLessThan(8);

    const session = await engine.createSession(await modelSource(model));
    const data = Float32Array.from({ length: 2 * total }, (_, at) => at);
    const results = await session.run({ x: hostTensor('float', [2, total], data) });
    await session.release();
    const found = graph.outputs.map(({ name }) => [...float32Of(results[name]!)]);
    let from = 0;
    const wanted = sizes.map((size) => {
      const row = (at: number) => [...data.subarray(at + from, at + from + size)];
      const part = [...row(0), ...row(total)];
      from += size;
      return part;
    });
    expect(found).toEqual(wanted);
  });
});
