/** Random models through text and back: nothing is lost, and the second text is the first. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DataType, dataTypes } from '../onnx/data-type.js';
import { bytesOf, Tensor } from '../onnx/tensor.js';
import { createRandom } from '../random.js';
import { type Attribute, toAttribute } from './attribute.js';
import { cloneModel } from './clone.js';
import { differenceOf } from './equal.js';
import { Graph } from './graph.js';
import { Model } from './model.js';
import { parseModel } from './parse.js';
import { printModel } from './print.js';
import type { Value } from './value.js';
import { typeFromProto, typeToProto, type ValueType } from './value-type.js';

/** Names as exporters write them, and worse. */
const name = fc.oneof(
  fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,5}$/),
  fc.stringMatching(/^\/[a-z]{1,4}\/[A-Z][a-z]{1,3}_output_\d$/),
  fc.constantFrom('float', 'seq', 'nan', 'inf', 'unknown', 'normal', '1', '-', '#', '@x', '...'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }),
);

const dataType = fc.constantFrom(...(Object.keys(dataTypes) as DataType[]));

const dim = fc.oneof(fc.nat(2 ** 40), name, fc.constant(undefined));

const { type } = fc.letrec<{ type: ValueType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.record({
      kind: fc.constantFrom('tensor' as const, 'sparse-tensor' as const),
      dataType: fc.option(dataType, { nil: undefined }),
      dims: fc.option(fc.array(dim, { maxLength: 3 }), { nil: undefined }),
    }),
    fc.record({
      kind: fc.constantFrom('sequence' as const, 'optional' as const),
      element: fc.option(tie('type'), { nil: undefined }),
    }),
    fc.record({
      kind: fc.constant('map' as const),
      key: fc.option(dataType, { nil: undefined }),
      value: fc.option(tie('type'), { nil: undefined }),
    }),
    fc.record({
      kind: fc.constant('opaque' as const),
      domain: fc.oneof(name, fc.constant('')),
      name: fc.oneof(name, fc.constant('a.b')),
    }),
  ),
}));

/** Any bits at all: every NaN, every subnormal. */
const tensor = fc
  .tuple(dataType, fc.array(fc.nat(3), { maxLength: 2 }), fc.nat())
  .map(([dataType, dims, seed]) => {
    const count = dims.reduce((product, size) => product * size, 1);
    const random = createRandom(seed);
    const bytes = () => Uint8Array.from({ length: random.int(5) }, () => random.int(256));
    if (dataType === 'string') {
      const strings = Array.from({ length: count }, bytes);
      return new Tensor('string', dims, { kind: 'strings', strings });
    }
    const length = Math.ceil((count * dataTypes[dataType].bits) / 8);
    const content = Uint8Array.from({ length }, () => random.int(256));
    return Tensor.raw(dataType, dims, content);
  });

const float32 = fc.oneof(fc.float(), fc.integer().map(Math.fround));
const int64 = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
const bytes = fc.uint8Array({ maxLength: 5 });

const attribute: fc.Arbitrary<Attribute> = fc.oneof(
  fc.record({ type: fc.constant('float' as const), value: float32 }),
  fc.record({ type: fc.constant('int' as const), value: int64 }),
  fc.record({ type: fc.constant('string' as const), value: bytes }),
  fc.record({ type: fc.constant('floats' as const), value: fc.array(float32, { maxLength: 3 }) }),
  fc.record({ type: fc.constant('ints' as const), value: fc.array(int64, { maxLength: 3 }) }),
  fc.record({ type: fc.constant('strings' as const), value: fc.array(bytes, { maxLength: 3 }) }),
  fc.record({ type: fc.constant('tensor' as const), value: tensor }),
  fc.record({ type: fc.constant('tensors' as const), value: fc.array(tensor, { maxLength: 2 }) }),
  fc.record({ type: fc.constant('type' as const), value: type.map(typeToProto) }),
);

interface Plan {
  readonly name: string;
  readonly ports: readonly { readonly name: string; readonly type: ValueType | undefined }[];
  readonly initializers: readonly { readonly name: string; readonly tensor: Tensor }[];
  readonly nodes: readonly {
    readonly opType: string;
    readonly domain: string;
    readonly name: string;
    readonly inputs: readonly number[];
    readonly outputs: readonly { readonly name: string; readonly type: ValueType | undefined }[];
    readonly attributes: readonly (readonly [string, Attribute])[];
    readonly graph: Plan | undefined;
  }[];
}

const port = fc.record({ name, type: fc.option(type, { nil: undefined }) });

const { plan } = fc.letrec<{ plan: Plan }>((tie) => ({
  plan: fc.record({
    name,
    ports: fc.array(port, { maxLength: 3 }),
    initializers: fc.array(fc.record({ name, tensor }), { maxLength: 2 }),
    nodes: fc.array(
      fc.record({
        opType: name,
        domain: fc.oneof(fc.constant(''), fc.constantFrom('com.microsoft', 'my-domain'), name),
        name: fc.oneof(fc.constant(''), name),
        inputs: fc.array(fc.nat(20), { maxLength: 3 }),
        outputs: fc.array(port, { minLength: 1, maxLength: 2 }),
        attributes: fc.array(fc.tuple(name, attribute), { maxLength: 3 }),
        graph: fc.option(tie('plan'), { nil: undefined, maxDepth: 2, depthSize: 'small' }),
      }),
      { maxLength: 4 },
    ),
  }),
}));

/** Makes the graph that a plan describes; names that are taken get a number. */
function build(plan: Plan, graph: Graph, around: readonly Value[]): void {
  const values: (Value | undefined)[] = [undefined, ...around];
  for (const { name, type } of plan.ports) {
    values.push(graph.addInput(graph.freshName(name), type));
  }
  for (const { name, tensor } of plan.initializers) values.push(graph.addInitializer(name, tensor));
  // An input may have a default, with a type that fits it or not.
  const [first] = graph.inputs;
  const [content] = plan.initializers;
  if (first && content && plan.nodes.length % 2 === 1) first.initializer = content.tensor;
  for (const spec of plan.nodes) {
    const node = graph.addNode({
      ...spec,
      domain: spec.domain === 'ai.onnx' ? '' : spec.domain,
      inputs: spec.inputs.map((at) => values[at % values.length]),
      outputs: spec.outputs.map((_, at) => (at === 0 && spec.outputs.length > 1 ? undefined : '')),
      attributes: Object.fromEntries(spec.attributes),
    });
    node.outputs.forEach((output, at) => {
      if (!output) return;
      output.rename(graph.freshName(spec.outputs[at]!.name));
      output.type = spec.outputs[at]!.type;
      values.push(output);
    });
    if (!spec.graph) continue;
    const inner = new Graph(spec.graph.name);
    inner.owner = node;
    build(
      spec.graph,
      inner,
      [...graph.values].filter((value) => !node.outputs.includes(value)),
    );
    node.setAttribute('body', toAttribute(inner));
  }
  graph.outputs.push(...[...graph.values].slice(-2));
}

function modelOf(plan: Plan): Model {
  const model = new Model({
    graph: new Graph(plan.name),
    opsets: [
      ['', 21],
      ['my-domain', 1],
    ],
  });
  build(plan, model.graph, []);
  return model;
}

test('full text -> model -> full text is the identity, and nothing differs', async () => {
  const property = fc.asyncProperty(plan, async (plan) => {
    const model = modelOf(plan);
    const text = await printModel(model, { weights: 'full' });
    const again = parseModel(text);
    expect(await differenceOf(model, again)).toBeUndefined();
    expect(await printModel(again, { weights: 'full' })).toBe(text);
    expect(await differenceOf(model, cloneModel(model))).toBeUndefined();
  });
  await fc.assert(property, { numRuns: 300 });
});

test('types survive the message of the file too', () => {
  fc.assert(
    fc.property(type, (type) => {
      expect(typeFromProto(typeToProto(type))).toEqual(type);
    }),
  );
});

test('every float32 is written so that it reads back to the same bits', async () => {
  const random = createRandom(7);
  const bits = Uint32Array.from({ length: 4096 }, () => Math.floor(random.next() * 2 ** 32));
  const model = parseModel('main () => () {}');
  model.graph.addInitializer('w', Tensor.raw('float', [4096], bytesOf(bits)));
  const again = parseModel(await printModel(model, { weights: 'full' }));
  expect(await differenceOf(model, again)).toBeUndefined();
});
