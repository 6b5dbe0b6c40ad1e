import { clone, create, equals } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelFromProto } from '../graph/from-proto.js';
import { tensorType } from '../graph/value-type.js';
import {
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../onnx/schema/onnx_pb.js';
import { Tensor } from '../onnx/tensor.js';
import type { Engine } from './engine.js';
import { hostTensor } from './host-tensor.js';
import { createNodeEngine } from './node.js';
import { inferShapes, inferTypes, probeShapes } from './shapes.js';
import { graph, model, node, port, weight } from './test-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const noContents = new Map();
const infer = (proto: ModelProto, dims: Record<string, number> = {}) =>
  inferTypes(engine, { proto, contents: noContents }, { dims });

/** Conv with 4 kB of weights, then a Reshape by a small constant. */
const convReshape = () =>
  model({
    nodes: [
      node('Conv', ['x', 'w'], ['c'], { pads: [1, 1, 1, 1] }),
      node('Relu', ['c'], ['r']),
      node('Reshape', ['r', 'dims'], ['y']),
    ],
    inputs: [port('x', 'float', ['N', 3, 8, 'W'])],
    outputs: [port('y', 'float')],
    weights: [
      weight('w', 'float', [37, 3, 3, 3], new Float32Array(37 * 27)),
      weight('dims', 'int64', [3], BigInt64Array.of(0n, 37n, -1n)),
    ],
  });

describe('inferTypes', () => {
  it('gives every value, with symbols where dims are open', async () => {
    const proto = convReshape();
    const before = clone(ModelProtoSchema, proto);
    const { types, unknown } = await infer(proto);
    expect(Object.fromEntries(types)).toEqual({
      x: tensorType('float', ['N', 3, 8, 'W']),
      w: tensorType('float', [37, 3, 3, 3]),
      dims: tensorType('int64', [3]),
      c: tensorType('float', ['N', 37, 8, undefined]),
      r: tensorType('float', ['N', 37, 8, undefined]),
      y: tensorType('float', ['N', 37, undefined]),
    });
    expect(unknown).toEqual([]);
    expect(equals(ModelProtoSchema, proto, before)).toBe(true);
  });

  it('puts numbers for symbols, and what follows from them', async () => {
    const { types } = await infer(convReshape(), { N: 2, W: 6 });
    expect(types.get('x')).toEqual(tensorType('float', [2, 3, 8, 6]));
    expect(types.get('y')).toEqual(tensorType('float', [2, 37, 48]));
  });

  it('needs no data of large weights', async () => {
    const proto = convReshape();
    const w = proto.graph!.initializer[0]!;
    proto.graph!.initializer[0] = create(TensorProtoSchema, {
      name: 'w',
      dataType: w.dataType,
      dims: w.dims,
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: [{ key: 'location', value: 'nowhere.bin' }],
    });
    expect((await infer(proto)).types.get('c')).toEqual(
      tensorType('float', ['N', 37, 8, undefined]),
    );
  });

  it('takes small contents from beside the message', async () => {
    const proto = convReshape();
    const bare = create(TensorProtoSchema, { name: 'dims', dataType: 7, dims: [3n] });
    proto.graph!.initializer[1] = bare;
    const contents = new Map([[bare, Tensor.of('int64', [3], [0, 37, -1])]]);
    const { types } = await inferTypes(engine, { proto, contents });
    expect(types.get('y')).toEqual(tensorType('float', ['N', 37, undefined]));
  });

  it('tells a scalar from an unknown rank', async () => {
    const { types, unknown } = await infer(
      model({
        nodes: [
          node('ReduceSum', ['x'], ['scalar'], { keepdims: 0 }),
          node('Neg', ['scalar'], ['negated']),
          node('Reshape', ['x', 'dims'], ['any']),
          node('Abs', ['any'], ['y']),
        ],
        inputs: [port('x', 'float', [2, 3]), port('dims', 'int64', [''])],
        outputs: [port('y', 'float')],
      }),
    );
    expect(types.get('scalar')).toEqual(tensorType('float', []));
    expect(types.get('negated')).toEqual(tensorType('float', []));
    expect(types.get('any')).toEqual(tensorType('float', undefined));
    expect(unknown.map(({ name }) => name)).toEqual(['any', 'y']);
    expect(unknown[0]?.reason).toContain('rank');
  });

  it('covers unused outputs, constants, initializers as outputs, and repeated outputs', async () => {
    const { types, unknown } = await infer(
      model({
        nodes: [
          node('MaxPool', ['x'], ['pooled', 'indices'], { kernel_shape: [2] }),
          node('Constant', [], ['small'], {
            value: weight('', 'int64', [2], BigInt64Array.of(1n, 2n)),
          }),
          node('Constant', [], ['large'], {
            value: weight('', 'float', [600], new Float32Array(600)),
          }),
          node('Add', ['large', 'large'], ['sum']),
        ],
        inputs: [port('x', 'float', [1, 1, 'L'])],
        outputs: [
          port('pooled', 'float', [1, 1, 'M']),
          port('w', 'float', [1]),
          port('x', 'float'),
        ],
        weights: [weight('w', 'float', [1], Float32Array.of(1))],
      }),
    );
    expect(types.get('pooled')).toEqual(tensorType('float', [1, 1, 'M']));
    expect(types.get('indices')).toEqual(tensorType('int64', [1, 1, undefined]));
    expect(types.get('small')).toEqual(tensorType('int64', [2]));
    expect(types.get('large')).toEqual(tensorType('float', [600]));
    expect(types.get('sum')).toEqual(tensorType('float', [600]));
    expect(types.get('w')).toEqual(tensorType('float', [1]));
    expect(unknown).toEqual([]);
  });

  it('reports values inside subgraphs and goes on behind them', async () => {
    const branch = (opType: string, name: string) =>
      graph({
        nodes: [node(opType, ['x'], [`${name}_inner`]), node('Relu', [`${name}_inner`], [name])],
        outputs: [port(name, 'float', [2, 3])],
      });
    const { types, unknown } = await infer(
      model({
        nodes: [
          node('If', ['condition'], ['chosen'], {
            then_branch: branch('Neg', 'yes'),
            else_branch: branch('Abs', 'no'),
          }),
          node('Transpose', ['chosen'], ['y']),
        ],
        inputs: [port('condition', 'bool', []), port('x', 'float', [2, 3])],
        outputs: [port('y', 'float')],
      }),
    );
    expect(types.get('chosen')).toEqual(tensorType('float', [2, 3]));
    expect(types.get('y')).toEqual(tensorType('float', [3, 2]));
    expect(unknown.map(({ name }) => name)).toEqual(['yes_inner', 'yes', 'no_inner', 'no']);
    expect(unknown[0]?.reason).toContain('subgraph of "chosen"');
  });

  it('names types that the JavaScript of the runtime has no name for', async () => {
    const bfloat16 = 16;
    const { types, unknown } = await infer(
      model({
        nodes: [
          node('Cast', ['x'], ['narrow'], { to: bfloat16 }),
          node('Cast', ['narrow'], ['wide'], { to: 1 }),
          node('Cast', ['w'], ['loaded'], { to: 1 }),
          node('Add', ['wide', 'loaded'], ['y']),
        ],
        inputs: [port('x', 'float', ['N', 600])],
        outputs: [port('y', 'float')],
        weights: [weight('w', 'bfloat16', [600], new Uint16Array(600))],
      }),
    );
    expect(types.get('narrow')).toEqual(tensorType('bfloat16', ['N', 600]));
    expect(types.get('w')).toEqual(tensorType('bfloat16', [600]));
    expect(types.get('y')).toEqual(tensorType('float', ['N', 600]));
    expect(unknown).toEqual([]);
  });

  it('reports sequences as unknown', async () => {
    const { types, unknown } = await infer(
      model({
        nodes: [
          node('SplitToSequence', ['x'], ['list'], { axis: 0 }),
          node('ConcatFromSequence', ['list'], ['y'], { axis: 0 }),
        ],
        inputs: [port('x', 'float', [4, 2])],
        outputs: [port('y', 'float')],
      }),
    );
    expect(types.get('y')).toMatchObject({ kind: 'tensor', dataType: 'float' });
    expect(unknown[0]).toEqual({ name: 'list', reason: expect.stringContaining('no tensor') });
  });

  it('reads models of IR 3, whose initializers are inputs too', async () => {
    const w = weight('w', 'float', [300, 2], new Float32Array(600));
    const { types } = await infer(
      model(
        {
          nodes: [node('MatMul', ['x', 'w'], ['h']), node('Neg', ['h'], ['y'])],
          inputs: [port('x', 'float', [1, 300]), port('w', 'float', [300, 2])],
          outputs: [port('y', 'float', [1, 2])],
          weights: [w],
        },
        { opset: 8, irVersion: 3 },
      ),
    );
    expect(types.get('h')).toEqual(tensorType('float', [1, 2]));
  });

  it('passes on what the runtime has against a model', async () => {
    const wrong = model({
      nodes: [node('MatMul', ['x', 'x'], ['y'])],
      inputs: [port('x', 'float', [2, 3])],
      outputs: [port('y', 'float')],
    });
    await expect(infer(wrong)).rejects.toMatchObject({ code: 'engine' });
  });
});

it('inferShapes writes the types into a model, and leaves its inputs', async () => {
  const proto = convReshape();
  const inMemory = modelFromProto(proto, (tensor) =>
    Tensor.raw(tensor.dataType === 7 ? 'int64' : 'float', tensor.dims.map(Number), tensor.rawData),
  );
  expect(await inferShapes(engine, inMemory, { dims: { N: 2, W: 6 } })).toEqual([]);
  expect(inMemory.graph.value('r').type).toEqual(tensorType('float', [2, 37, 8, 6]));
  expect(inMemory.graph.value('x').type).toEqual(tensorType('float', ['N', 3, 8, 'W']));
});

describe('probeShapes', () => {
  it('gives the dims of one run, also where inference has none', async () => {
    const proto = model({
      nodes: [
        node('NonZero', ['x'], ['where']),
        node('Reshape', ['x', 'dims'], ['any']),
        node('ReduceSum', ['any'], ['y'], { keepdims: 0 }),
      ],
      inputs: [port('x', 'float', ['N']), port('dims', 'int64', [''])],
      outputs: [port('y', 'float')],
    });
    const feeds = {
      x: hostTensor('float', [6], Float32Array.of(0, 1, 2, 0, 3, 0)),
      dims: hostTensor('int64', [3], BigInt64Array.of(1n, 3n, 2n)),
    };
    const message = { proto, contents: noContents };
    expect(await probeShapes(engine, message, feeds)).toEqual(
      new Map([
        ['x', [6]],
        ['dims', [3]],
        ['where', [1, 3]],
        ['any', [1, 3, 2]],
        ['y', []],
      ]),
    );
    expect(await probeShapes(engine, message, feeds, ['any'])).toEqual(
      new Map([['any', [1, 3, 2]]]),
    );
    expect(await probeShapes(engine, message, feeds, [])).toEqual(new Map());
  });
});
