import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Model } from '../graph/model.js';
import { modelToProto } from '../graph/to-proto.js';
import { tensorType } from '../graph/value-type.js';
import { encodeModel } from '../onnx/encode.js';
import { Tensor } from '../onnx/tensor.js';
import { gzipCounter } from './compress.js';
import { brotliCounter } from './node-compress.js';
import { sizeOf } from './size.js';

const zeros = (dataType: Parameters<typeof Tensor.of>[0], dims: readonly number[]) =>
  Tensor.of(dataType, dims, new Array<number>(dims.reduce((a, b) => a * b, 1)).fill(0));

/** Embedding, quantized MatMul with bias, normalization, Reshape; the embedding also as output weight. */
function mixedModel(): Model {
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const ids = graph.addInput('ids', tensorType('int64', ['N']));
  const add = (name: string, tensor: Tensor) => graph.addInitializer(name, tensor);
  const table = add('table', zeros('float', [10, 4]));
  const rows = graph.addNode({ opType: 'Gather', inputs: [table, ids] }).output();
  const weight = graph
    .addNode({
      opType: 'DequantizeLinear',
      inputs: [
        add('w', zeros('int8', [4, 4])),
        add('w.scale', zeros('float', [4])),
        add('w.zero', zeros('int8', [4])),
      ],
      attributes: { axis: 1 },
    })
    .output();
  const product = graph.addNode({ opType: 'MatMul', inputs: [rows, weight] }).output();
  const bias = add('b', zeros('float', [4]));
  const sum = graph.addNode({ opType: 'Add', inputs: [product, bias] }).output();
  const normal = graph
    .addNode({
      opType: 'LayerNormalization',
      inputs: [sum, add('gamma', zeros('float', [4])), add('beta', zeros('float', [4]))],
    })
    .output();
  const head = graph
    .addNode({ opType: 'Transpose', inputs: [add('head', zeros('float', [6, 4]))] })
    .output();
  const logits = graph.addNode({ opType: 'MatMul', inputs: [normal, head] }).output();
  const shape = graph
    .addNode({
      opType: 'Constant',
      inputs: [],
      attributes: { value: Tensor.of('int64', [2], [-1, 6]) },
    })
    .output();
  const flat = graph.addNode({ opType: 'Reshape', inputs: [logits, shape] }).output();
  add('left over', zeros('float', [3]));
  graph.outputs.push(flat);
  return model;
}

describe('sizeOf', () => {
  test('tells what the bytes are for', async () => {
    const size = await sizeOf(mixedModel(), { gzip: null });
    expect(size.byRole).toEqual({
      weight: { tensors: 2, bytes: 16 + 96, elements: 16 + 24 },
      embedding: { tensors: 1, bytes: 160, elements: 40 },
      bias: { tensors: 1, bytes: 16, elements: 4 },
      normalization: { tensors: 2, bytes: 32, elements: 8 },
      quantization: { tensors: 2, bytes: 16 + 4, elements: 8 },
      constant: { tensors: 2, bytes: 12 + 16, elements: 5 },
    });
    expect(size.parameters).toBe(40 + 40 + 4 + 8);
    expect(size.byOperator).toMatchObject({
      MatMul: { bytes: 112 },
      Gather: { bytes: 160 },
      DequantizeLinear: { bytes: 20 },
      Reshape: { bytes: 16 },
      none: { bytes: 12 },
    });
    expect(Object.keys(size.byDataType)).toEqual(['float', 'int8', 'int64']);
    expect(size.tensorBytes).toBe(112 + 160 + 16 + 32 + 20 + 28);
    expect(size).toMatchObject({ gzipBytes: null, brotliBytes: null });
  });

  test('measures the file as it is written', async () => {
    const model = mixedModel();
    const file = Buffer.concat(await encodeModel(modelToProto(model)));
    const size = await sizeOf(model, { brotli: () => brotliCounter() });
    expect(size.fileBytes).toBe(file.byteLength);
    expect(size.gzipBytes).toBeLessThan(file.byteLength);
    expect(size.brotliBytes).toBeLessThan(file.byteLength);
    expect(JSON.parse(JSON.stringify(size))).toEqual(size);
  });

  test('measures content that is given, in pieces', async () => {
    const pieces = [new Uint8Array(1000), new Uint8Array(2000)];
    const size = await sizeOf(mixedModel(), { content: () => pieces });
    expect(size.fileBytes).toBe(3000);
    expect(size.gzipBytes).toBeLessThan(60);
  });

  test('counts packed weights by the numbers that they hold', async () => {
    const model = new Model({
      opsets: [
        ['', 17],
        ['com.microsoft', 1],
      ],
    });
    const { graph } = model;
    const x = graph.addInput('x', tensorType('float', ['N', 64]));
    const node = graph.addNode({
      opType: 'MatMulNBits',
      domain: 'com.microsoft',
      inputs: [
        x,
        graph.addInitializer('B', zeros('uint8', [8, 2, 16])),
        graph.addInitializer('scales', zeros('float', [16])),
      ],
      attributes: { K: 64, N: 8, bits: 4, block_size: 32 },
    });
    graph.outputs.push(node.output());
    const size = await sizeOf(model);
    expect(size.parameters).toBe(64 * 8);
    expect(size.byRole).toMatchObject({ weight: { bytes: 256 }, quantization: { bytes: 64 } });
  });

  test('stops when it is cancelled', async () => {
    const signal = AbortSignal.abort();
    await expect(sizeOf(mixedModel(), { signal })).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('byte counters', () => {
  const text = new TextEncoder().encode('pare makes models smaller. '.repeat(100_000));

  test.each([
    ['gzip', gzipCounter],
    ['brotli', brotliCounter],
  ] as const)('%s does not depend on the pieces much', async (_name, create) => {
    const whole = create();
    await whole.write(text);
    const pieces = create();
    for (let at = 0; at < text.length; at += 7001) await pieces.write(text.subarray(at, at + 7001));
    const [a, b] = [await whole.end(), await pieces.end()];
    expect(a).toBeLessThan(text.length / 100);
    expect(Math.abs(a - b)).toBeLessThan(100);
  });

  test('gzip is what the format is, within its header', async () => {
    const counter = gzipCounter();
    await counter.write(text);
    const reference = gzipSync(text);
    expect(Math.abs((await counter.end()) - reference.byteLength)).toBeLessThan(20);
  });

  test('brotli refuses a quality that it does not have', () => {
    expect(() => brotliCounter(12)).toThrow(/quality is 12/);
  });
});
