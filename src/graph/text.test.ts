import { describe, expect, test } from 'vitest';
import { PareError } from '../errors.js';
import { Tensor } from '../onnx/tensor.js';
import { differenceOf } from './equal.js';
import type { Model } from './model.js';
import { parseModel } from './parse.js';
import { printGraph, printModel, printNode } from './print.js';

/** What the text is when it is printed as it was read. */
async function normalized(text: string): Promise<string> {
  return printModel(parseModel(text), { weights: 'full' });
}

function failure(text: string): PareError {
  try {
    parseModel(text);
  } catch (error) {
    if (error instanceof PareError) return error;
    throw error;
  }
  throw new Error('the text was accepted');
}

async function initializer(text: string): Promise<Tensor> {
  const model = parseModel(`main () => (${text.split('=')[0]}) <${text}> {}`);
  return model.graph.initializers[0]!.initializer!;
}

const header = '<\n  ir_version: 8,\n  opset_import: ["" : 17]\n>\n';

describe('layout', () => {
  test('a whole model reads back to itself', async () => {
    const text = `<
  ir_version: 10,
  opset_import: ["" : 21, "com.microsoft" : 1],
  producer_name: "test",
  model_version: 3,
  doc_string: "two\\nlines",
  metadata_props: ["license": "MIT", "a \\"b\\"": ""]
>
main (float[N,3,8,8] x, float[2] b = {0.5, -0}) => (float[N,2] y, "odd.name")
<
  float[2,3] w = {1, 2, 3, 0.1, 1e-7, inf},
  int64[1] axes = {-9223372036854775808},
  sparse_tensor(float[3,4]) s = {float[2] {0.5, 1}, int64[2] {0, 7}},
  float[N,?,8] h,
  @h : ["SCALE_TENSOR": "b"]
>
{
  ["conv 1"] h = Conv<pads = [0, 0, 1, 1], strides = [2, 2]>(x, w, b)
  [m] "odd.name", "", k = com.microsoft.Fused:v2<alpha = 1.0, axes: ints = [], mode = "SAME">(h, "", w)
  y = Sum(k, s, axes)
}

<
  domain: "my.functions",
  overload: "v2",
  opset_import: ["" : 21]
>
Scale <factor, bias = 0.5> (x, float[] s) => (y)
<
  float[] t
>
{
  t = LeakyRelu<alpha: float = @factor>(x)
  y = Mul(t, s)
}
`;
    expect(await normalized(text)).toBe(text);
  });

  test('subgraphs are nested and indented, attributes sorted', async () => {
    const text = `${header}main (bool c, float[2] x) => (float[2] y)
{
  [if] y = If(c) <
    else_branch = no () => (float[2] e)
    {
      e = Neg(x)
    },
    then_branch = yes () => (float[2] t)
    <
      float[2] two = {2, 2}
    >
    {
      t = Mul(x, two)
    }
  >
}
`;
    expect(await normalized(text)).toBe(text);
  });

  test('a long signature has one port per line', async () => {
    const ports = Array.from({ length: 9 }, (_, i) => `float[N,16] input_${i}`);
    const text = `${header}main (\n  ${ports.join(',\n  ')}\n) => (float[N,16] y)\n{\n  y = Sum(input_0)\n}\n`;
    expect(await normalized(text)).toBe(text);
  });

  test('the header may be left out, comments and blanks mean nothing', async () => {
    const model = parseModel('# a model\nmain(float x)=>(float y){y=Relu(x)} # done');
    expect(model.opsets).toEqual(new Map([['', 17]]));
    expect(await printGraph(model.graph)).toBe(
      'main (float x) => (float y)\n{\n  y = Relu(x)\n}\n',
    );
    expect(await printNode(model.graph.nodes.first!)).toBe('y = Relu(x)');
  });

  test('attributes before or behind the inputs, holes as "" or nothing', async () => {
    const model = parseModel(
      'main (float x) => (float y) { y = Clip(x, , x) <a = 1, b = [1.5]> z, = Op<c = "">(x,) }',
    );
    const [clip, op] = [...model.graph.nodes];
    expect(clip!.inputs.map((value) => value?.name)).toEqual(['x', undefined, 'x']);
    expect(clip!.int('a')).toBe(1);
    expect(clip!.floats('b')).toEqual([1.5]);
    expect(op!.inputs.length + op!.outputs.length).toBe(2);
  });
});

describe('what is awkward to write', () => {
  test.each([
    'seq(float[N])',
    'map(int64, seq(string))',
    'optional(float[])',
    'sparse_tensor(float[3,?])',
    'opaque()',
    'opaque(some.name)',
    'opaque(some.domain, name)',
    'opaque("not-plain", a.b)',
    'float["a b",?,0]',
    'undefined[2]',
    'seq(unknown)',
    'float8e4m3fnuz',
    'map(undefined, unknown)',
  ])('type %s', async (type) => {
    const text = `${header}main (${type} x) => (${type} y)\n{\n  y = Op<t = ${type}, ts = [${type}, float]>(x)\n}\n`;
    expect(await normalized(text)).toBe(text);
  });

  test('names that are types, numbers or no identifiers are quoted', async () => {
    const text = `${header}"float" (float "nan", float "1x", float "a/b") => (float "seq")
{
  ["\\x00\\n"] "seq" = "my-domain"."Op 1"<"an attribute" = 1, g = "inf" (float "inf") => (float z)
    {
      z = Neg("inf")
    }>("nan", "1x", "a/b")
}
`;
    const once = await normalized(text);
    expect(once).toContain('"seq" = "my-domain"."Op 1"("nan", "1x", "a/b") <');
    expect(once).toContain('g = "inf" (float "inf") => (float z)');
    expect(await normalized(once)).toBe(once);
  });

  test('a negative dimension is an unknown one', () => {
    const { graph } = parseModel('main (float[-1,2] x) => () {}');
    expect(graph.value('x').dims).toEqual([undefined, 2]);
  });

  test('an unquoted name of a type is understood where nothing follows it', () => {
    const model = parseModel('main (float float, seq) => (map) { map = Add(float, seq) }');
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(['float', 'seq']);
  });

  test('every kind of attribute survives', async () => {
    const attributes = [
      'a = nan',
      'b = [inf, -inf, -0.0, 16777216.0, 0.1]',
      'c = [-9223372036854775808, 9223372036854775807]',
      'd = "\\"\\\\\\xff\\n"',
      'e = ["", "é"]',
      'f = float[0] {}',
      'g: tensors = []',
      'h = [int8[2] {-1, 2}, bool {1}]',
      'i = sparse_tensor(float[9]) {float[1] {1}, int64[1] {8}}',
      'j: sparse_tensors = []',
      'k = [one () => () {}, two () => () {}]',
      'l: graphs = []',
      'm: strings = []',
      'n: floats = []',
      'o: type_protos = []',
    ];
    const text = `main (float x) => (float y) { y = Op(x) <${attributes.join(', ')}> }`;
    const model = parseModel(text);
    const again = parseModel(await printModel(model, { weights: 'full' }));
    expect(await differenceOf(model, again)).toBeUndefined();
    const [node] = again.graph.nodes;
    expect([...node!.attributes].map(([name, { type }]) => `${name} ${type}`)).toEqual([
      'a float',
      'b floats',
      'c ints',
      'd string',
      'e strings',
      'f tensor',
      'g tensors',
      'h tensors',
      'i sparse-tensor',
      'j sparse-tensors',
      'k graphs',
      'l graphs',
      'm strings',
      'n floats',
      'o types',
    ]);
    expect(node!.floats('b').map((value) => Object.is(value, -0))).toEqual([
      false,
      false,
      true,
      false,
      false,
    ]);
    expect(node!.attributes.get('d')!.value).toEqual(Uint8Array.of(0x22, 0x5c, 0xff, 0x0a));
  });
});

describe('content of tensors', () => {
  test.each<[string, number[]]>([
    ['float[2] w = {nan, nan(0xffc00001)}', [0, 0, 0xc0, 0x7f, 1, 0, 0xc0, 0xff]],
    ['double w = {nan(0xfff8000000000002)}', [2, 0, 0, 0, 0, 0, 0xf8, 0xff]],
    ['float16[3] w = {1.0, 15360, -inf}', [0, 0x3c, 0, 0x3c, 0, 0xfc]],
    ['bfloat16[2] w = {1.5, 32705}', [0xc0, 0x3f, 0xc1, 0x7f]],
    ['float8e4m3fn[2] w = {0, 255}', [0, 255]],
    ['int4[3] w = {-8, 7, 1}', [0x78, 0x01]],
    ['uint2[5] w = {3, 0, 1, 2, 3}', [0x93, 0x03]],
    ['uint64 w = {18446744073709551615}', [255, 255, 255, 255, 255, 255, 255, 255]],
    ['complex64 w = {1, -2}', [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]],
    ['bool[2] w = {0, 1}', [0, 1]],
    ['float[0,3] w = {}', []],
  ])('%s', async (text, bytes) => {
    const tensor = await initializer(text);
    expect([...(await tensor.bytes())]).toEqual(bytes);
    const model = parseModel(`main () => (float y) <${text}> { y = Op(w) }`);
    const printed = await printModel(model, { weights: 'full' });
    const [again] = parseModel(printed).graph.initializers;
    expect([...(await again!.initializer!.bytes())]).toEqual(bytes);
  });

  test('strings', async () => {
    const tensor = await initializer('string[2] w = {"a", "\\n\\xff"}');
    expect(tensor.content).toEqual({
      kind: 'strings',
      strings: [Uint8Array.of(97), Uint8Array.of(10, 255)],
    });
  });

  test('float32 elements are written as short as they can be', async () => {
    const values = Float32Array.of(
      0.1,
      1 / 3,
      3.4028234663852886e38,
      1.401298464324817e-45,
      8388608.5,
    );
    const model = parseModel('main () => (float y) { y = Op() }');
    model.graph.addInitializer('w', Tensor.of('float', [5], values));
    const text = await printModel(model, { weights: 'full' });
    expect(text).toContain('{0.1, 0.33333334, 3.4028235e+38, 1e-45, 8388608}');
    const [again] = parseModel(text).graph.initializers;
    expect(await again!.initializer!.floats()).toEqual(values);
  });

  test('generated weights are seeded, and integers stay in their range', async () => {
    const text = 'float[100] w = normal(seed=1, mean=5, std=0.5)';
    const values = await (await initializer(text)).floats();
    expect(await (await initializer(text)).floats()).toEqual(values);
    expect(await (await initializer(text.replace('=1', '=2'))).floats()).not.toEqual(values);
    const mean = values.reduce((sum, value) => sum + value / values.length, 0);
    expect(mean).toBeGreaterThan(4.8);
    expect(mean).toBeLessThan(5.2);
    const bytes = await (await initializer('uint8[3] w = range(start=-1, step=200)')).numbers();
    expect(bytes).toEqual([0, 199, 255]);
    const small = await (await initializer('int8[50] w = uniform(low=-2, high=3)')).numbers();
    expect(new Set(small)).toEqual(new Set([-2, -1, 0, 1, 2]));
    expect(await (await initializer('float16[2] w = fill(value=1.5)')).numbers()).toEqual([
      1.5, 1.5,
    ]);
  });

  test('large weights are shown by a fingerprint that changes with their content', async () => {
    const print = (seed: number, dims = '[3,3]') =>
      printModel(
        parseModel(`main () => (float y) <float${dims} w = normal(seed=${seed})> { y = Op(w) }`),
      );
    const text = await print(1);
    expect(text).toMatch(/float\[3,3\] w = \{\.\.\. fnv1a [0-9a-f]{8}\}/);
    expect(await print(1)).toBe(text);
    expect(await print(2)).not.toBe(text);
    expect(await print(1, '[2,4]')).not.toContain('...');
    expect(failure(text).message).toMatch(/line 7, column 19: the content was left out/);
  });

  test('no content at all', async () => {
    const model = parseModel(
      'main () => (float y) <float w = {1}> { y = Op<t = int64[1] {2}>(w) }',
    );
    const text = await printModel(model, { weights: 'none' });
    expect(text).toContain('float w = {...}');
    expect(text).toContain('t = int64[1] {...}');
  });
});

describe('errors name the place and what was expected', () => {
  test.each([
    ['', 'line 1, column 1: expected the name of a graph, found the end of the text'],
    ['main (float[N x) => () {}', 'line 1, column 15: expected "]", found "x"'],
    ['main (floot[2] x) => () {}', 'line 1, column 12: expected "," or ")", found "["'],
    ['main () => ()\n{ y = }', 'line 2, column 7: expected an operator, found "}"'],
    ['main () => () {\n y = Relu(x\n}', 'line 3, column 1: expected ")", found "}"'],
    ['main () => () { y = Op<a = >() }', 'expected a number, a string, a tensor, a type, a graph'],
    ['main () => () { y = Op<a = 1, a = 2>() }', 'the attribute a is given twice'],
    ['main () => () { y = Op<a = []>() }', 'an empty list needs its type'],
    ['main () => () { y = Op<a = [1, 2.0]>() }', 'column 32: expected int, found float'],
    ['main () => () { y = Op<a: ints = 1>() }', 'expected ints, found int'],
    ['main () => () { y = Op<a: int = [1]>() }', 'a list is no int'],
    ['main () => () { y = Op<a: whole = 1>() }', 'column 27: expected one of'],
    ['main () => () { y = Op<a = @b>() }', 'a reference needs its type'],
    ['main () => () { y = Op<a = 9223372036854775808>() }', 'does not fit int64'],
    ['main () => () <float[2] w = {1}> {}', 'column 29: 1 elements given, float[2] needs 2'],
    ['main () => () <float[N] w = {1}> {}', 'dims that are all numbers'],
    ['main () => () <int8 w = {128}> {}', '128 is outside int8, -128 to 127'],
    ['main () => () <int8 w = {1.5}> {}', 'expected a whole number of type int8, found "1.5"'],
    ['main () => () <float w = ["location": "f"]> {}', 'external data has no place in a text'],
    [
      'main () => () <float w = normal(sd=1)> {}',
      'expected a parameter of normal: seed, mean, std',
    ],
    ['main () => () <string w = normal()> {}', 'normal() makes no string'],
    ['main () => () <float[999999,9999] w = fill()> {}', 'more than'],
    ['main () => () { "open }', 'column 17: the string has no closing quote'],
    ['main () => () { y = Op(1x) }', '"1x" is no number and no name'],
    ['main () => () { y = Op(-x) }', '"-x" is no number'],
    ['main () => () { y = Op(a;b) }', '";" has no meaning'],
    ['<ir: 8> main () => () {}', 'column 2: expected one of ir_version'],
    ['main () => () {} <domain: "d" opset_import: []> F () => () {}', 'expected "," or ">"'],
  ])('%j', (text, message) => {
    const error = failure(text);
    expect(error.code).toBe('usage');
    expect(error.message).toContain(message);
    expect(error.message).toMatch(/^text: line \d+, column \d+: /);
  });

  test('deep nesting is refused before it fills the stack', () => {
    expect(failure(`main (${'seq('.repeat(1e5)}`).message).toContain('nested deeper than 64');
    const deep = 'main () => () { y = Op() <g = '.repeat(1e4);
    expect(failure(deep).message).toContain('nested deeper than 64');
  });

  test('a text that is no model gets the errors of files', () => {
    expect(failure('main () => () { y = Relu(x) }').code).toBe('invalid-model');
  });
});

test('the model is not changed by printing', async () => {
  const model: Model = parseModel('main (float x) => (float y) <float w = {1}> { y = Add(x, w) }');
  const before = await printModel(model);
  await printModel(model, { weights: 'full' });
  expect(await printModel(model)).toBe(before);
});
