import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PareError } from '../errors.js';
import { bytesSource } from './byte-source.js';
import { decodeModel } from './decode.js';
import { encodeModel } from './encode.js';
import { type GraphProtoSchema, type ModelProto, ModelProtoSchema } from './schema/onnx_pb.js';
import { visitTensors } from './tensor-fields.js';
import { tensorFromProto } from './tensor-proto.js';
import { fieldHead, varint } from './wire.js';

type ModelInit = MessageInitShape<typeof ModelProtoSchema>;

const small: ModelInit = {
  irVersion: 8n,
  producerName: 'test',
  opsetImport: [{ domain: '', version: 17n }],
  graph: {
    name: 'g',
    node: [
      {
        opType: 'Relu',
        input: ['x'],
        output: ['y'],
        attribute: [{ name: 'axes', type: 7, ints: [1n, -1n, 300n] }],
      },
    ],
    initializer: [
      { name: 'raw', dims: [2n], dataType: 1, rawData: new Uint8Array(8) },
      { name: 'typed', dims: [2n], dataType: 7, int64Data: [5n, -5n] },
      { name: 'half', dims: [1n], dataType: 1, floatData: [0.5] },
      { name: 'text', dims: [1n], dataType: 8, stringData: [Uint8Array.of(104, 105)] },
    ],
    input: [{ name: 'x', type: { value: { case: 'tensorType', value: { elemType: 1 } } } }],
  },
};

const encode = (init: ModelInit) => toBinary(ModelProtoSchema, create(ModelProtoSchema, init));
const decode = (bytes: Uint8Array) => decodeModel(bytesSource(bytes, 'model.onnx'));

/** The model, or the PareError that explains why there is none. Anything else fails the test. */
async function decodeOrExplain(bytes: Uint8Array): Promise<ModelProto | PareError> {
  try {
    const model = await decode(bytes);
    visitTensors(model, (tensor) => tensorFromProto(tensor, new Map()));
    return model;
  } catch (error) {
    if (error instanceof PareError) return error;
    throw error;
  }
}

async function refusal(bytes: Uint8Array): Promise<PareError> {
  const result = await decodeOrExplain(bytes);
  expect(result).toBeInstanceOf(PareError);
  return result as PareError;
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

describe('decodeModel', () => {
  it('gives views of the file', async () => {
    const bytes = encode(small);
    const model = await decode(bytes);
    expect(model.graph!.initializer[0]!.rawData.buffer).toBe(bytes.buffer);
    const half = tensorFromProto(model.graph!.initializer[2]!, new Map());
    expect((await half.bytes()).buffer).toBe(bytes.buffer);
    expect(await half.floats()).toEqual(Float32Array.of(0.5));
  });

  it('reads a source that is not in memory', async () => {
    const bytes = encode(small);
    const { memory: _, ...outside } = bytesSource(bytes, 'disk');
    expect((await decodeModel(outside)).graph!.node[0]!.opType).toBe('Relu');
  });

  it('keeps unknown fields, groups among them, through a read and a write', async () => {
    // Field 99 as bytes, field 98 as a group with a varint inside, both in the ModelProto.
    const group = concat(varint(98 * 8 + 3), Uint8Array.of(8, 1), varint(98 * 8 + 4));
    const unknown = concat(fieldHead(99, 3), Uint8Array.of(1, 2, 3), group);
    const model = await decode(concat(encode(small), unknown));
    const parts = await encodeModel({ proto: model, contents: new Map() });
    const again = await decode(concat(...parts));
    expect(again.$unknown!.map(({ no }) => no)).toEqual([99, 98]);
    expect(again.$unknown).toEqual(model.$unknown);
  });

  it.each([
    ['\xff\xd8\xff\xe0\0\x10JFIF', 'a JPEG image'],
    ['PK\x03\x04\x14\0\0\0', 'a zip archive'],
    ['<!DOCTYPE html><html>', 'an HTML page'],
    ['\n  <html lang="en">', 'an HTML page'],
    ['{"model": 1}', 'a JSON file'],
    ['Entry not found', 'a text file'],
    ['\0\0\0\0\0\0\0\0', 'zeros only'],
    ['\x10\0\0\0ORTMabcd\x07', 'ORT format'],
    ['\x08\x01\0\0\0\0\0\0{"a":{}}', 'a safetensors file'],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:1', 'a Git LFS pointer'],
  ])('says what %j is', async (text, kind) => {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    const error = await refusal(bytes);
    expect(error.code).toBe('invalid-model');
    expect(error.message).toContain(kind);
  });

  it.each<[string, ModelInit, string]>([
    ['no graph', { irVersion: 8n, opsetImport: [{ version: 17n }] }, 'it has no graph'],
    ['no ir_version', { graph: {}, opsetImport: [{ version: 17n }] }, 'no ir_version'],
    ['no opset_import', { irVersion: 3n, graph: {} }, 'imports no operator set'],
    ['a future IR', { ...small, irVersion: 14n }, 'IR version 14 is newer than 13'],
    [
      'a future opset',
      { ...small, opsetImport: [{ domain: 'ai.onnx', version: 27n }] },
      'opset 27 is newer than 26',
    ],
    ['opset 0', { ...small, opsetImport: [{ version: 0n }] }, 'opset 0 is no version'],
  ])('refuses a model with %s', async (_, init, message) => {
    const error = await refusal(encode(init));
    expect(error.code).toBe('invalid-model');
    expect(error.message).toContain(message);
    expect(error.where.file).toBe('model.onnx');
  });

  it.each<[string, ModelInit]>([
    ['IR 2 without opset_import', { irVersion: 2n, graph: {} }],
    ['other domains of any version', { ...small, opsetImport: [{ domain: 'x', version: 99n }] }],
    [
      'a version that a later import corrects',
      { ...small, opsetImport: [{ version: 0n }, { version: 7n }] },
    ],
  ])('takes %s', async (_, init) => {
    expect(await decodeOrExplain(encode(init))).not.toBeInstanceOf(PareError);
  });

  it('refuses an empty file', async () => {
    expect((await refusal(new Uint8Array())).message).toContain('the file is empty');
  });

  it('refuses a file of tensors by naming the field that does not fit', async () => {
    const tensor = Uint8Array.of(0x08, 2, 0x10, 1, 0x4a, 0); // dims, data_type, raw_data
    expect((await refusal(tensor)).message).toContain('ModelProto.producer_name: wire type 0');
  });

  it('explains every truncation', async () => {
    const bytes = encode(small);
    for (let length = 1; length < bytes.length; length++) {
      const result = await decodeOrExplain(bytes.subarray(0, length));
      if (!(result instanceof PareError)) continue; // the last field is optional
      expect(result.message).toMatch(/truncated|no graph|no operator set/);
    }
    expect((await refusal(bytes.subarray(0, bytes.length - 10))).message).toContain(
      'at least 4 more must follow',
    );
  });

  it('never fails otherwise on changed bytes', async () => {
    const bytes = encode(small);
    const change = fc.record({ at: fc.nat(bytes.length - 1), to: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const changed = bytes.slice();
        for (const { at, to } of changes) changed[at] = to;
        await decodeOrExplain(changed);
      }),
      { numRuns: 2000 },
    );
  });

  it('never fails otherwise on random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        await decodeOrExplain(bytes);
        await decodeOrExplain(concat(Uint8Array.of(0x08, 8, 0x3a, bytes.length), bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses endless nesting: subgraphs, types, groups', async () => {
    let graph: MessageInitShape<typeof GraphProtoSchema> = {};
    for (let depth = 0; depth < 40; depth++) {
      graph = { node: [{ opType: 'If', attribute: [{ name: 'then_branch', g: graph }] }] };
    }
    const subgraphs = encode({ ...small, graph });
    expect((await refusal(subgraphs)).message).toContain('nested deeper than 100');

    let type: Uint8Array = new Uint8Array();
    // TypeProto.sequence_type.elem_type
    for (let depth = 0; depth < 2000; depth++) type = wrap(4, wrap(1, type));
    const types = wrap(7, wrap(11, wrap(2, type)));
    expect((await refusal(concat(Uint8Array.of(0x08, 8), types))).message).toContain('deeper');

    const groups = new Uint8Array(1_000_000).fill((15 << 3) | 3);
    expect((await refusal(concat(Uint8Array.of(0x08, 8), groups))).message).toContain('deeper');
  });

  it('refuses a file whose objects would fill the memory', async () => {
    const nodes = new Uint8Array(12_000_000);
    for (let at = 0; at < nodes.length; at += 2) nodes[at] = 0x0a; // an empty NodeProto each
    const bytes = new Uint8Array(nodes.length + 7);
    bytes.set([0x08, 8]);
    bytes.set(fieldHead(7, nodes.length), 2);
    bytes.set(nodes, 7);
    const error = await refusal(bytes);
    expect(error.code).toBe('unsupported');
    expect(error.message).toContain('would take about');
  });
});

function wrap(fieldNumber: number, content: Uint8Array): Uint8Array {
  const head = fieldHead(fieldNumber, content.length);
  const out = new Uint8Array(head.length + content.length);
  out.set(head);
  out.set(content, head.length);
  return out;
}
