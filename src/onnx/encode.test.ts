import {
  clone,
  create,
  createRegistry,
  type DescField,
  type DescMessage,
  equals,
  fromBinary,
  type Message,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource } from './byte-source.js';
import type { ModelMessage } from './contents.js';
import { decodeModel } from './decode.js';
import { encodeModel, encodeModelExternal } from './encode.js';
import { externalFilesFromMap, openExternals } from './external.js';
import {
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from './schema/onnx_pb.js';
import { Tensor } from './tensor.js';
import { visitTensors } from './tensor-fields.js';
import { tensorFromProto, tensorToProto } from './tensor-proto.js';

/** Any message of a type: every field of the schema may be there or not. */
function anyMessage(desc: DescMessage, depth: number): fc.Arbitrary<Message> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of desc.members) {
    if (member.kind === 'oneof') {
      const cases = member.fields
        .filter((field) => depth > 0 || !field.message)
        .map((field) =>
          fc.record({ case: fc.constant(field.localName), value: anyValue(field, depth) }),
        );
      if (cases.length > 0) members[member.localName] = fc.oneof(...cases);
    } else if (!member.message || depth > 0) {
      const value = anyValue(member, depth);
      members[member.localName] =
        member.fieldKind === 'list' ? fc.array(value, { maxLength: 2 }) : value;
    }
  }
  return fc.record(members, { requiredKeys: [] }).map((init) => create(desc, init));
}

function anyValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message) return anyMessage(field.message, depth - 1);
  if (field.fieldKind === 'enum') {
    return fc.constantFrom(...field.enum.values.map(({ number }) => number));
  }
  switch (field.scalar) {
    case ScalarType.STRING:
      return fc.string({ unit: 'binary', maxLength: 5 });
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 5 });
    case ScalarType.FLOAT:
      return fc.float({ noNaN: true });
    case ScalarType.DOUBLE:
      return fc.double({ noNaN: true });
    case ScalarType.INT64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case ScalarType.UINT64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case ScalarType.INT32:
      return fc.integer();
    default:
      throw new Error(`no values for ${field}`);
  }
}

const anyModel = anyMessage(ModelProtoSchema, 5).map((message) => {
  const model = message as ModelProto;
  model.irVersion = 10n;
  model.opsetImport = [];
  model.opsetImport.push({ $typeName: 'onnx.OperatorSetIdProto', domain: '', version: 21n });
  model.graph ??= create(ModelProtoSchema, { graph: {} }).graph!;
  return model;
});

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** By protobuf-es itself: an independent reader of what the gather writer wrote. */
const stockDecode = (parts: readonly Uint8Array[]) => fromBinary(ModelProtoSchema, concat(parts));

const same = (a: ModelProto, b: ModelProto) =>
  equals(ModelProtoSchema, a, b, { unknown: true, registry: createRegistry() });

async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of parts) pieces.push(piece);
  return concat(pieces);
}

describe('decodeModel and encodeModel', () => {
  it('give back every model', async () => {
    await fc.assert(
      fc.asyncProperty(anyModel, async (model) => {
        const bytes = toBinary(ModelProtoSchema, model);
        const proto = await decodeModel(bytesSource(bytes));
        const parts = await encodeModel({ proto, contents: new Map() });
        expect(same(stockDecode(parts), model)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('write contents wherever their tensors sit, and keep all orders', async () => {
    let written = 0;
    await fc.assert(
      fc.asyncProperty(anyModel, fc.infiniteStream(fc.boolean()), async (model, choices) => {
        const expected = clone(ModelProtoSchema, model);
        const tensors: TensorProto[] = [];
        visitTensors(expected, (proto) => tensors.push(proto));
        const contents = new Map<TensorProto, Tensor>();
        visitTensors(model, (proto) => {
          const twin = tensors.shift()!;
          if (!choices.next().value) return;
          const bytes = Uint8Array.of(...proto.rawData, proto.dims.length);
          delete (proto as Partial<TensorProto>).rawData;
          twin.rawData = bytes;
          contents.set(proto, Tensor.raw('uint8', [bytes.length], bytes));
        });
        written += contents.size;
        const before = toBinary(ModelProtoSchema, model);
        const parts = await encodeModel({ proto: model, contents });
        expect(same(stockDecode(parts), expected)).toBe(true);
        expect(toBinary(ModelProtoSchema, model)).toEqual(before);
      }),
      { numRuns: 100 },
    );
    expect(written).toBeGreaterThan(100);
  });
});

/** A model of one initializer per tensor. */
function modelOf(tensors: readonly Tensor[]): ModelMessage {
  const contents = new Map<TensorProto, Tensor>();
  const initializer = tensors.map((tensor, index) => {
    const proto = tensorToProto(tensor, `w${index}`);
    contents.set(proto, tensor);
    return proto;
  });
  const proto = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ version: 21n }],
    graph: { name: 'g', initializer: [] },
  });
  proto.graph!.initializer = initializer;
  return { proto, contents };
}

const ramp = (length: number) =>
  Tensor.raw(
    'uint8',
    [length],
    new Uint8Array(length).map((_, i) => i),
  );

/** Any size without any memory: every byte is zero, and reads are counted. */
function zeroSource(byteLength: number): ByteSource & { reads: number } {
  const zeros = new Uint8Array(64 * 1024 * 1024);
  return {
    name: 'zeros',
    byteLength,
    reads: 0,
    async slice(start, end) {
      this.reads++;
      return zeros.subarray(0, end - start);
    },
  };
}

const rangeTensor = (source: ByteSource, length = source.byteLength, offset = 0) =>
  new Tensor('uint8', [length], {
    kind: 'range',
    source,
    offset,
    byteLength: length,
    location: 'weights',
  });

describe('encodeModel', () => {
  it('references weights in memory', async () => {
    const big = ramp(100_000);
    const parts = await encodeModel(modelOf([ramp(10), big, ramp(10)]));
    expect(parts).toHaveLength(3);
    expect(parts[1]).toBe(await big.bytes());
  });

  it('writes strings and empty tensors', async () => {
    const texts = Tensor.strings([2], ['ä', '']);
    const { graph } = stockDecode(await encodeModel(modelOf([texts, ramp(0)])));
    expect(tensorFromProto(graph!.initializer[0]!, new Map()).text()).toEqual(['ä', '']);
    expect(Object.hasOwn(graph!.initializer[1]!, 'rawData')).toBe(true);
  });

  it('reads what lies outside of memory', async () => {
    const source = bytesSource(Uint8Array.of(1, 2, 3, 4, 5));
    const { graph } = stockDecode(await encodeModel(modelOf([rangeTensor(source, 2, 3)])));
    expect(graph!.initializer[0]!.rawData).toEqual(Uint8Array.of(4, 5));
  });

  it('refuses more than 2 GiB before it reads anything', async () => {
    const source = zeroSource(2 ** 31);
    await expect(encodeModel(modelOf([rangeTensor(source)]))).rejects.toMatchObject({
      code: 'unsupported',
      hint: 'write it with external data',
    });
    expect(source.reads).toBe(0);
  });
});

describe('encodeModelExternal', () => {
  it('moves large initializers out, aligned, and reads them back', async () => {
    const tensors = [ramp(1023), ramp(1024), ramp(5000), ramp(4096), Tensor.strings([1], ['s'])];
    const { parts, files } = await encodeModelExternal(modelOf(tensors), { location: 'm.data' });
    expect(files.map(({ location, byteLength }) => [location, byteLength])).toEqual([
      ['m.data', 3 * 4096 + 4096],
    ]);
    const proto = await decodeModel(bytesSource(concat(parts)));
    expect(proto.graph!.initializer.map(({ externalData }) => externalData.length)).toEqual([
      0, 3, 3, 3, 0,
    ]);
    const data = await collect(files[0]!.parts());
    expect(data).toHaveLength(files[0]!.byteLength);
    const externals = await openExternals(proto, externalFilesFromMap(new Map([['m.data', data]])));
    const back = proto.graph!.initializer.map((tensor) => tensorFromProto(tensor, externals));
    expect(back.map(({ content }) => content.kind === 'range' && content.offset)).toEqual([
      false,
      0,
      4096,
      3 * 4096,
      false,
    ]);
    for (const index of [0, 1, 2, 3]) {
      expect(await back[index]!.bytes()).toEqual(await tensors[index]!.bytes());
    }
  });

  it('stores shared content once', async () => {
    const shared = ramp(2000);
    const twin = shared.reshape([20, 100]);
    const { files } = await encodeModelExternal(modelOf([shared, twin, shared]), {
      location: 'm.data',
    });
    expect(files[0]!.byteLength).toBe(2000);
  });

  it('starts a new file before one grows too large', async () => {
    const sizes = [3000, 3000, 9000, 2000];
    const { parts, files } = await encodeModelExternal(modelOf(sizes.map(ramp)), {
      location: 'weights/m.data',
      alignment: 1,
      maxFileBytes: 6000,
    });
    expect(files.map(({ location, byteLength }) => [location, byteLength])).toEqual([
      ['weights/m.data', 6000],
      ['weights/m.data_1', 9000],
      ['weights/m.data_2', 2000],
    ]);
    const { graph } = stockDecode(parts);
    expect(graph!.initializer[1]!.externalData.map(({ key, value }) => [key, value])).toEqual([
      ['location', 'weights/m.data'],
      ['offset', '3000'],
      ['length', '3000'],
    ]);
  });

  it('streams more than 4 GiB in pieces of at most 64 MB', async () => {
    const gib = 2 ** 30;
    const tensors = [rangeTensor(zeroSource(3 * gib)), rangeTensor(zeroSource(2 * gib + 1))];
    const { parts, files } = await encodeModelExternal(modelOf(tensors), { location: 'm.data' });
    let total = 0;
    for await (const piece of files[0]!.parts()) {
      if (piece.byteLength > 64 * 1024 * 1024) throw new Error('a piece is too large');
      total += piece.byteLength;
    }
    expect(total).toBe(5 * gib + 1);
    const last = stockDecode(parts).graph!.initializer[1]!;
    expect(last.externalData.map(({ value }) => value)).toEqual([
      'm.data',
      String(3 * gib),
      String(2 * gib + 1),
    ]);
  });

  it('keeps tensors of attributes in the model file', async () => {
    const { proto, contents } = modelOf([]);
    const tensor = create(TensorProtoSchema, { dims: [5000n], dataType: 2 });
    proto.graph!.node = create(ModelProtoSchema, {
      graph: { node: [{ opType: 'Constant', attribute: [{ name: 'value', type: 4 }] }] },
    }).graph!.node;
    proto.graph!.node[0]!.attribute[0]!.t = tensor;
    const message = { proto, contents: new Map([...contents, [tensor, ramp(5000)]]) };
    const { parts, files } = await encodeModelExternal(message, { location: 'm.data' });
    expect(files).toEqual([]);
    expect(stockDecode(parts).graph!.node[0]!.attribute[0]!.t!.rawData).toHaveLength(5000);
  });

  it.each([
    [{ location: '../m.data' }],
    [{ location: '' }],
    [{ location: 'm', alignment: 0 }],
    [{ location: 'm', threshold: -1 }],
    [{ location: 'm', maxFileBytes: Number.NaN }],
  ])('refuses %j', async (options) => {
    await expect(encodeModelExternal(modelOf([]), options)).rejects.toMatchObject({
      code: 'usage',
    });
  });
});
