import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fromBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ModelProtoSchema } from '../onnx/schema/onnx_pb.js';
import type { Engine } from './engine.js';
import { hostTensor } from './host-tensor.js';
import { createNodeEngine } from './node.js';
import { model, node, port, sourceOf, weight } from './test-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Conv with a bias, then Relu. */
const convRelu = sourceOf(
  model({
    nodes: [node('Conv', ['x', 'w', 'b'], ['c']), node('Relu', ['c'], ['y'])],
    inputs: [port('x', 'float', ['N', 1, 8, 8])],
    outputs: [port('y', 'float', ['N', 2, 6, 6])],
    weights: [
      weight('w', 'float', [2, 1, 3, 3], new Float32Array(18).fill(0.5)),
      weight('b', 'float', [2], Float32Array.of(1, -1)),
    ],
  }),
);

describe('what onnxruntime-node did', () => {
  it('dumps the optimized model', async () => {
    const opTypes = async (optimization: 'basic' | 'extended') => {
      const bytes = await engine.optimized(convRelu, { optimization });
      return fromBinary(ModelProtoSchema, bytes).graph!.node.map(({ opType }) => opType);
    };
    expect(await opTypes('basic')).toEqual(['Conv', 'Relu']);
    expect(await opTypes('extended')).toEqual(['FusedConv']);
  });

  it('names the node in which a run failed', async () => {
    const add = model({
      nodes: [node('Add', ['x', 'w'], ['y'])],
      inputs: [port('x', 'float', ['N'])],
      outputs: [port('y', 'float', ['N'])],
      weights: [weight('w', 'float', [2], Float32Array.of(1, 2))],
    });
    const session = await engine.createSession(sourceOf(add));
    const x = hostTensor('float', [3], new Float32Array(3));
    await expect(session.run({ x })).rejects.toMatchObject({
      code: 'engine',
      where: { node: 'y' },
      message: expect.stringMatching(/^run: Add: /),
    });
    await session.release();
  });

  it('leaves no temporary files', async () => {
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith('pare-'));
    await engine.profile(convRelu, {
      x: hostTensor('float', [1, 1, 8, 8], new Float32Array(64)),
    });
    await engine.optimized(convRelu);
    const after = (await readdir(tmpdir())).filter((name) => name.startsWith('pare-'));
    expect(after.filter((name) => !before.includes(name))).toEqual([]);
  });
});
