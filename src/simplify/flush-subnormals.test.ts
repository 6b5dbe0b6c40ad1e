import { expect, test } from 'vitest';
import { parseModel } from '../graph/parse.js';
import type { ByteSource } from '../onnx/byte-source.js';
import { Tensor } from '../onnx/tensor.js';
import { applyPass } from '../pass.js';
import { flushSubnormals } from './flush-subnormals.js';

const numbers = [
  ...[1, -1e-40, 1e-45, 2 ** -126, -(2 ** -126), 0, 3e-38, 1.1e-38, -3],
  ...Array.from({ length: 11 }, (_, at) => at + 4),
];
const wanted = Float32Array.from(numbers, (number, at) => ([1, 2, 7].includes(at) ? 0 : number));

function modelWith(tensor: Tensor) {
  const model = parseModel(
    'main (float[1,5] x, float[5,4] w) => (float[1,4] y) { y = MatMul(x, w) }',
  );
  const { graph } = model;
  const [, w] = graph.inputs;
  graph.inputs.splice(1, 1);
  w!.initializer = tensor;
  return model;
}

test('subnormal weights become 0, all other numbers keep their bits', async () => {
  const model = modelWith(Tensor.of('float', [5, 4], numbers));
  const { model: result, report } = await applyPass(model, flushSubnormals, {});
  expect(await result.graph.value('w').initializer!.floats()).toEqual(wanted);
  expect(report.changed).toEqual([
    { node: 'w', op: 'initializer', what: '3 of 20 entries were subnormal and are 0 now' },
  ]);
});

test('weights in a file are read once, and stay there when all are normal', async () => {
  const bytes = new Uint8Array(Float32Array.from({ length: 20 }, (_, at) => at - 5).buffer);
  const reads: [number, number][] = [];
  const source: ByteSource = {
    name: 'weights.bin',
    byteLength: bytes.byteLength,
    slice: async (start, end) => {
      reads.push([start, end]);
      return bytes.slice(start, end);
    },
  };
  const range = { source, offset: 0, byteLength: 80, location: 'weights.bin' } as const;
  const model = modelWith(new Tensor('float', [5, 4], { kind: 'range', ...range }));
  const { model: once, report } = await applyPass(model, flushSubnormals, {});
  const { model: twice } = await applyPass(once, flushSubnormals, {});
  expect(report.changed).toEqual([]);
  expect(twice.graph.value('w').initializer!.content.kind).toBe('range');
  expect(reads).toEqual([[0, 80]]);
});
