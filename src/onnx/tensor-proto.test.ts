import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource } from './byte-source.js';
import { type DataType, dataTypes } from './data-type.js';
import { decodeModel } from './decode.js';
import { ModelProtoSchema, type TensorProto, TensorProtoSchema } from './schema/onnx_pb.js';
import { bytesOf, Tensor } from './tensor.js';
import { tensorFromProto, tensorToProto } from './tensor-proto.js';

type TensorInit = MessageInitShape<typeof TensorProtoSchema>;

const none = new Map();
const fromInit = (init: TensorInit) =>
  tensorFromProto(create(TensorProtoSchema, { name: 't', ...init }), none);

/** The same tensor as it comes out of a file. */
async function fromFile(init: TensorInit): Promise<TensorProto> {
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ version: 21n }],
    graph: { initializer: [init] },
  });
  const proto = await decodeModel(bytesSource(toBinary(ModelProtoSchema, model)));
  return proto.graph!.initializer[0]!;
}

/** Numbers as the typed field of a data type states them, and how the elements read then. */
function typedForms(dataType: DataType): fc.Arbitrary<{ init: TensorInit; bytes: Uint8Array }> {
  const { bits, kind, code } = dataTypes[dataType];
  const list = <T>(entry: fc.Arbitrary<T>) => fc.array(entry, { minLength: 1, maxLength: 20 });
  const dims = (count: number) => ({ dataType: code, dims: [BigInt(count)] });
  if (dataType === 'float' || kind === 'complex') {
    const wide = dataType === 'complex128';
    const each = kind === 'complex' ? 2 : 1;
    const number = wide ? fc.double() : fc.float();
    return list(fc.array(number, { minLength: each, maxLength: each })).map((pairs) => {
      const numbers = pairs.flat();
      return {
        init: {
          ...dims(pairs.length),
          ...(wide ? { doubleData: numbers } : { floatData: numbers }),
        },
        bytes: bytesOf(wide ? Float64Array.from(numbers) : Float32Array.from(numbers)),
      };
    });
  }
  if (dataType === 'double') {
    return list(fc.double()).map((doubleData) => ({
      init: { ...dims(doubleData.length), doubleData },
      bytes: bytesOf(Float64Array.from(doubleData)),
    }));
  }
  if (dataType === 'int64') {
    return list(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })).map((int64Data) => ({
      init: { ...dims(int64Data.length), int64Data },
      bytes: bytesOf(BigInt64Array.from(int64Data)),
    }));
  }
  if (dataType === 'uint32' || dataType === 'uint64') {
    return list(fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })).map((uint64Data) => ({
      init: { ...dims(uint64Data.length), uint64Data },
      bytes: bytesOf(
        bits === 64 ? BigUint64Array.from(uint64Data) : Uint32Array.from(uint64Data, Number),
      ),
    }));
  }
  if (bits < 8) {
    // One number per byte, which holds two or four elements.
    return list(fc.nat(255)).map((int32Data) => ({
      init: { ...dims((int32Data.length * 8) / bits), int32Data },
      bytes: Uint8Array.from(int32Data),
    }));
  }
  const min = kind === 'signed' ? -(2 ** (bits - 1)) : 0;
  return list(fc.integer({ min, max: min + 2 ** bits - 1 })).map((int32Data) => ({
    init: { ...dims(int32Data.length), int32Data },
    bytes: bytesOf(
      (bits === 8 ? Uint8Array : bits === 16 ? Uint16Array : Uint32Array).from(int32Data),
    ),
  }));
}

const numeric = (Object.keys(dataTypes) as DataType[]).filter((name) => name !== 'string');

describe('tensorFromProto', () => {
  it.each(numeric)('%s: typed fields and raw_data read the same', async (dataType) => {
    await fc.assert(
      fc.asyncProperty(typedForms(dataType), async ({ init, bytes }) => {
        const { dims = [], dataType: code } = init;
        const raw = { dims, dataType: code!, rawData: bytes };
        for (const proto of [
          create(TensorProtoSchema, init),
          await fromFile(init),
          create(TensorProtoSchema, raw),
          await fromFile(raw),
        ]) {
          const tensor = tensorFromProto(proto, none);
          expect(tensor.dataType).toBe(dataType);
          expect(tensor.dims).toEqual(dims.map(Number));
          expect(await tensor.bytes()).toEqual(bytes);
          expect(tensor.origin).toBe(proto);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('reads packed numbers that are spread over several fields of the file', async () => {
    const proto = await fromFile({ name: 't', dims: [3n], dataType: 1, floatData: [1, 2] });
    // float_data once more, not packed: tag 4, wire type 5
    const spread = fromBinary(
      TensorProtoSchema,
      Uint8Array.of(...toBinary(TensorProtoSchema, proto), 0x25, 0, 0, 0x40, 0x40),
    );
    expect(await tensorFromProto(spread, none).floats()).toEqual(Float32Array.of(1, 2, 3));
  });

  it('takes scalars, empty tensors and strings', async () => {
    expect(await fromInit({ dataType: 1, floatData: [7] }).numbers()).toEqual([7]);
    expect(fromInit({ dataType: 1, dims: [0n, 3n] }).size).toBe(0);
    expect(fromInit({ dataType: 1, dims: [2n ** 40n, 0n, 2n ** 40n] }).byteLength).toBe(0);
    expect(fromInit({ dataType: 8, dims: [0n] }).text()).toEqual([]);
    const stringData = [Uint8Array.of(0xc3, 0xa4), new Uint8Array()];
    expect(fromInit({ dataType: 8, dims: [2n], stringData }).text()).toEqual(['ä', '']);
    // An odd number of 4-bit elements: the last byte is half used.
    expect(await fromInit({ dataType: 22, dims: [3n], int32Data: [0x21, 0x0f] }).numbers()).toEqual(
      [1, 2, -1],
    );
  });

  it.each<[string, TensorInit, string]>([
    [
      'too few bytes',
      { dataType: 1, dims: [2n, 3n], rawData: new Uint8Array(20) },
      'raw_data holds 20 bytes, dims [2,3] of float need 24',
    ],
    [
      'too many numbers',
      { dataType: 6, dims: [1n], int32Data: [1, 2] },
      'int32_data holds 2 numbers, dims [1] of int32 need 1',
    ],
    ['no content', { dataType: 1, dims: [4n] }, 'holds 0 bytes, dims [4] of float need 16'],
    ['missing strings', { dataType: 8, dims: [2n] }, 'holds 0 strings, dims [2] of string need 2'],
    ['huge dims', { dataType: 1, dims: [2n ** 40n, 2n ** 40n] }, 'have about 1.2'],
    ['large dims', { dataType: 1, dims: [2n ** 45n] }, 'need 140737488355328'],
    ['a negative dim', { dataType: 1, dims: [-1n] }, 'dimension -1 in dims [-1]'],
    ['an endless dim', { dataType: 1, dims: [2n ** 63n - 1n] }, 'dimension 9223372036854775807'],
    ['no data type', { dims: [1n] }, 'has no data type'],
    ['an unknown data type', { dataType: 27, dims: [1n] }, 'unknown data type 27'],
    [
      'numbers in the wrong field',
      { dataType: 1, dims: [1n], int64Data: [1n] },
      'float elements belong in raw_data or float_data, found int64_data',
    ],
    [
      'two contents',
      { dataType: 1, dims: [1n], floatData: [1], rawData: new Uint8Array(4) },
      'both raw_data and float_data',
    ],
    ['raw strings', { dataType: 8, dims: [1n], rawData: new Uint8Array(1) }, 'strings cannot be'],
  ])('refuses %s', (_, init, message) => {
    expect(() => fromInit(init)).toThrow(
      expect.objectContaining({
        code: 'invalid-model',
        where: expect.objectContaining({ tensor: 't' }),
      }),
    );
    expect(() => fromInit(init)).toThrow(message);
  });

  it('refuses segments', () => {
    expect(() => fromInit({ dataType: 1, segment: { begin: 0n, end: 1n } })).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
  });
});

describe('tensorToProto', () => {
  it('carries over what the message said beside the content', async () => {
    const proto = await fromFile({
      name: 'old',
      dims: [2n],
      dataType: 1,
      docString: 'about',
      metadataProps: [{ key: 'k', value: 'v' }],
      floatData: [1, 2],
    });
    proto.$unknown!.push({ no: 77, wireType: 0, data: Uint8Array.of(5) });
    const message = tensorToProto(tensorFromProto(proto, none), 'new');
    expect(message).toMatchObject({
      name: 'new',
      dims: [2n],
      dataType: 1,
      docString: 'about',
      metadataProps: [{ key: 'k', value: 'v' }],
      floatData: [],
    });
    expect(message.$unknown).toEqual([{ no: 77, wireType: 0, data: Uint8Array.of(5) }]);
    expect(proto.$unknown).toHaveLength(2);
  });

  it('describes a new tensor', () => {
    const message = tensorToProto(Tensor.of('int4', [3], [1, 2, 3]), 'w');
    expect(message).toMatchObject({ name: 'w', dims: [3n], dataType: 22 });
  });
});
