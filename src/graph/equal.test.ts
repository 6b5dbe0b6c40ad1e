import { describe, expect, test } from 'vitest';
import { bytesSource } from '../onnx/byte-source.js';
import { Tensor } from '../onnx/tensor.js';
import { differenceOf } from './equal.js';
import { parseModel } from './parse.js';

const text = `<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1], metadata_props: ["k": "v"]>
main (bool c, float[N,3] x) => (float[N] y)
< float[3] w = {1, 2, 3}, string[1] names = {"a"}, float[N] h,
  sparse_tensor(float[9]) s = {float[1] {1}, int64[1] {8}}, @h : ["SCALE_TENSOR": "w"] >
{
  [first] h, k = com.microsoft.Op<alpha = 1.0, axes = [0, 1], t = int64[2] {1, 2}>(x, "", w)
  y = If(c) <
    else_branch = no () => (float e) { e = Neg(h) },
    then_branch = yes () => (float t) { t = Identity(s) }
  >
}
<domain: "d", opset_import: ["" : 17]> F <a, b = 1> (x) => (y) { y = Neg(x) }`;

const difference = (a: string, b: string) => differenceOf(parseModel(a), parseModel(b));

test('a model is equal to itself, whatever the order of what is found by name', async () => {
  expect(await difference(text, text)).toBeUndefined();
  const shuffled = text
    .replace('"" : 17, "com.microsoft" : 1', '"com.microsoft" : 1, "" : 17')
    .replace('alpha = 1.0, axes = [0, 1]', 'axes = [0, 1], alpha = 1.0')
    .replace(
      'float[3] w = {1, 2, 3}, string[1] names = {"a"}',
      'string[1] names = {"a"}, float[3] w = {1, 2, 3}',
    );
  expect(shuffled).not.toBe(text);
  expect(await difference(text, shuffled)).toBeUndefined();
});

describe('the first difference in words', () => {
  const node = 'graph "main": node 0 (com.microsoft:Op "first")';
  const branch = 'graph "main": node 1 (If "y"): attribute else_branch';
  test.each([
    ['ir_version: 8', 'ir_version: 9', 'IR version: 8 and 9'],
    ['"" : 17, "com', '"" : 18, "com', 'opset of domain "": 17 and 18'],
    [', "com.microsoft" : 1', '', 'opset of domain "com.microsoft": 1 and none'],
    ['"k": "v"', '"k": "w"', 'metadata "k": "v" and "w"'],
    ['main (', 'other (', 'graph "main": name: "main" and "other"'],
    ['float[N,3] x', 'float[N,4] x', 'graph "main": input: type of "x": float[N,3] and float[N,4]'],
    ['x)', 'x, int8 z)', 'graph "main": input 2: none and "z"'],
    ['(float[N] y)', '(float[N] y, float[N] h)', 'graph "main": output 1: none and "h"'],
    ['float[N] h', 'float[M] h', `${node}: output 0: type of "h": float[N] and float[M]`],
    ['[first] h', '[other] h', `${node}: name: "first" and "other"`],
    ['com.microsoft.Op', 'Op', `${node}: operator: "com.microsoft.Op" and "Op"`],
    ['"", w)', 'w)', `${node}: input 1: none and "w"`],
    ['h, k =', 'h, z =', `${node}: output 1: "k" and "z"`],
    ['alpha = 1.0', 'alpha = 1', `${node}: attribute alpha: type: "float" and "int"`],
    ['alpha = 1.0', 'alpha = 1.5', `${node}: attribute alpha: 1.0 and 1.5`],
    ['alpha = 1.0, ', '', `${node}: attribute alpha is only in the first model`],
    ['axes = [0, 1]', 'axes = [0, 2]', `${node}: attribute axes: [0, 1] and [0, 2]`],
    ['{1, 2}', '{1, 3}', `${node}: attribute t: contents differ, first at element 1`],
    ['e = Neg(h)', 'e = Abs(h)', `${branch}: node 0 (Neg "e"): operator: "Neg" and "Abs"`],
    [
      'e = Neg(h)',
      'e = Neg(h) u = Neg(e)',
      `${branch}: node 1 (Neg "u") is only in the second model`,
    ],
    [
      '{1, 2, 3}',
      '{1, 2, 4}',
      'graph "main": initializer "w": contents differ, first at element 2',
    ],
    ['{"a"}', '{"b"}', 'graph "main": initializer "names": contents differ, first at element 0'],
    [
      ', string[1] names = {"a"}',
      '',
      'graph "main": initializer "names" is only in the first model',
    ],
    [
      'float[1] {1}',
      'float[1] {2}',
      'graph "main": initializer "s": values: contents differ, first at element 0',
    ],
    [
      'SCALE',
      'ZERO',
      'graph "main": quantization annotation of "h": "SCALE_TENSOR=w" and "ZERO_TENSOR=w"',
    ],
    ['F <a, b = 1>', 'G <a, b = 1>', 'function d.F is only in the first model'],
    ['b = 1>', 'b = 2>', 'function d.F: default b: 1 and 2'],
    ['<a, b', '<c, b', 'function d.F: attributes: "a" and "c"'],
    ['y = Neg(x) }', 'y = Abs(x) }', 'function d.F: node 0 (Neg "y"): operator: "Neg" and "Abs"'],
  ])('%s -> %s', async (from, to, expected) => {
    expect(text).toContain(from);
    expect(await difference(text, text.replace(from, to))).toBe(expected);
  });
});

describe('content does not depend on how it is stored', () => {
  const bytes = new Uint8Array(9 * 2 ** 20).map((_, i) => i * 31);
  const withContent = (tensor: Tensor) => {
    const model = parseModel('main () => () {}');
    model.graph.addInitializer('w', tensor);
    return model;
  };
  const lazy = (content: Uint8Array) =>
    new Tensor('uint8', [content.length], {
      kind: 'range',
      source: bytesSource(content),
      offset: 0,
      byteLength: content.length,
      location: 'weights.bin',
    });

  test('a lazy tensor equals one in memory, and is never read as a whole', async () => {
    const file = bytesSource(bytes);
    const lengths: number[] = [];
    const source = {
      ...file,
      memory: undefined,
      slice(start: number, end: number) {
        lengths.push(end - start);
        return file.slice(start, end);
      },
    };
    const tensor = new Tensor('uint8', [bytes.length], {
      kind: 'range',
      source,
      offset: 0,
      byteLength: bytes.length,
      location: 'weights.bin',
    });
    const inMemory = withContent(Tensor.raw('uint8', [bytes.length], bytes));
    expect(await differenceOf(withContent(tensor), inMemory)).toBeUndefined();
    expect(lengths.reduce((sum, length) => sum + length)).toBe(bytes.length);
    expect(Math.max(...lengths)).toBeLessThan(bytes.length / 2);
  });

  test('a difference far behind is found', async () => {
    const other = bytes.slice();
    other[bytes.length - 2]! ^= 1;
    expect(await differenceOf(withContent(lazy(bytes)), withContent(lazy(other)))).toContain(
      `first at element ${bytes.length - 2}`,
    );
  });

  test('padding bits of packed types have no meaning, signs of zero and bits of NaN do', async () => {
    const int4 = (last: number) => withContent(Tensor.raw('int4', [3], Uint8Array.of(0x21, last)));
    expect(await differenceOf(int4(0x03), int4(0xf3))).toBeUndefined();
    expect(await differenceOf(int4(0x03), int4(0x04))).toContain('first at element 2');
    const float = (value: number) => withContent(Tensor.scalar('float', value));
    expect(await differenceOf(float(Number.NaN), float(Number.NaN))).toBeUndefined();
    expect(await differenceOf(float(0), float(-0))).toContain('contents differ');
  });
});
