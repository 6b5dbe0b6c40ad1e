import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { bytesSource } from './byte-source.js';
import {
  checkLocation,
  externalFilesFromMap,
  externalLocations,
  openExternals,
} from './external.js';
import { ModelProtoSchema, type TensorProto, TensorProtoSchema } from './schema/onnx_pb.js';
import { tensorFromProto } from './tensor-proto.js';

/** An external tensor of two float elements. */
function external(entries: Record<string, string>): TensorProto {
  return create(TensorProtoSchema, {
    name: 'w',
    dims: [2n],
    dataType: 1,
    dataLocation: 1,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
  });
}

const file = bytesSource(new Uint8Array(new Float32Array([1, 2, 3]).buffer), 'w.bin');
const read = (entries: Record<string, string>) =>
  tensorFromProto(external(entries), new Map([['w.bin', file]]));

describe('external tensors', () => {
  it.each([
    [{ location: 'w.bin' }, [1, 2]],
    [{ location: 'w.bin', offset: '4' }, [2, 3]],
    [{ location: 'w.bin', offset: '4', length: '8', checksum: 'abc' }, [2, 3]],
    [{ location: 'w.bin', length: '0' }, [1, 2]],
  ])('are read by range: %j', async (entries, values) => {
    expect(await read(entries).numbers()).toEqual(values);
  });

  it.each([
    [{ location: 'w.bin', offset: '8' }, "8 bytes at offset 8 end behind the file's 12 bytes"],
    [{ location: 'w.bin', length: '12' }, 'length is 12, the dims [2] need 8 bytes'],
    [{ location: 'w.bin', offset: '-4' }, 'offset is "-4", not a number of bytes'],
    [{ location: 'w.bin', offset: '1e3' }, 'offset is "1e3"'],
    [{ location: 'w.bin', length: '' }, 'length is ""'],
    [{ location: 'w.bin', offset: '99999999999999999999' }, 'offset is "99999999999999999999"'],
    [{ location: 'other.bin' }, 'the file is missing'],
    [{ offset: '0' }, 'states no location'],
  ])('are refused: %j', (entries: Record<string, string>, message) => {
    expect(() => read(entries)).toThrow(message);
    expect(() => read(entries)).toThrow(expect.objectContaining({ code: 'invalid-model' }));
  });

  it('cannot be strings', () => {
    const strings = external({ location: 'w.bin' });
    strings.dataType = 8;
    expect(() => tensorFromProto(strings, new Map([['w.bin', file]]))).toThrow('strings cannot');
  });
});

describe('checkLocation', () => {
  it.each([
    '/etc/passwd',
    '../secret',
    'a/../../secret',
    'a/..',
    '..',
    'C:/secret',
    'c:secret',
    '\\\\server\\share',
    '..\\secret',
    'a\0b',
    '',
    '.',
    './',
    './/',
  ])('refuses %j', (location) => {
    expect(() => checkLocation(location, {})).toThrow(
      expect.objectContaining({ code: 'invalid-model' }),
    );
  });

  it.each(['w.bin', './w.bin', 'a/b/w.bin', '..w', 'a..b', 'w...', 'ä ö'])(
    'takes %j',
    (location) => {
      expect(() => checkLocation(location, {})).not.toThrow();
    },
  );
});

describe('externalLocations', () => {
  const at = (location: string) => external({ location });

  it('finds tensors wherever they sit', () => {
    const proto = create(ModelProtoSchema, {
      graph: {
        initializer: [at('initializer'), at('initializer')],
        sparseInitializer: [{ values: at('values'), indices: at('indices') }],
        node: [
          {
            attribute: [
              { t: at('attribute') },
              { tensors: [at('list')] },
              { g: { initializer: [at('subgraph')] } },
              { graphs: [{ node: [{ attribute: [{ t: at('deep') }] }] }] },
              { sparseTensor: { values: at('sparse attribute') } },
            ],
          },
        ],
      },
      functions: [
        { node: [{ attribute: [{ t: at('function') }] }], attributeProto: [{ t: at('default') }] },
      ],
      trainingInfo: [{ algorithm: { initializer: [at('training')] } }],
    });
    expect([...externalLocations(proto)].sort()).toEqual([
      'attribute',
      'deep',
      'default',
      'function',
      'indices',
      'initializer',
      'list',
      'sparse attribute',
      'subgraph',
      'training',
      'values',
    ]);
  });

  it('refuses unsafe locations before anything is opened', async () => {
    const proto = create(ModelProtoSchema, { graph: { initializer: [at('a'), at('../b')] } });
    await expect(
      openExternals(proto, () => Promise.reject(new Error('must not be opened'))),
    ).rejects.toThrow('leaves the folder of the model');
  });

  it('opens files that a browser gave', async () => {
    const proto = create(ModelProtoSchema, { graph: { initializer: [at('./a'), at('b')] } });
    const files = new Map<string, Blob | Uint8Array>([
      ['a', new Blob([new Uint8Array(8)])],
      ['./b', new Uint8Array(9)],
    ]);
    const externals = await openExternals(proto, externalFilesFromMap(files));
    expect([...externals].map(([name, { byteLength }]) => [name, byteLength])).toEqual([
      ['./a', 8],
      ['b', 9],
    ]);
    await expect(openExternals(proto, externalFilesFromMap(new Map()))).rejects.toThrow(
      'the file is missing, no files were given',
    );
  });
});
