import { expect, test } from 'vitest';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { isDeterministic, isPure, traitsOf } from './traits.js';

const only = (model: Model) => model.graph.nodes.first!;

test('ordinary operators are pure and deterministic', () => {
  const node = only(parseModel('main (float[2] x) => (float[2] y) { y = Relu(x) }'));
  expect([isPure(node), isDeterministic(node)]).toEqual([true, true]);
  expect(traitsOf(node.op).elementwise).toBe('unary');
  expect(traitsOf('toString')).toEqual({});
});

test.each([
  ['random operators', '', 'RandomNormalLike(x)', true],
  ['a Dropout that may train', '', 'Dropout(x, r, on)', true],
  ['operators of unknown domains', ', "acme": 1', 'acme.Print(x)', false],
])('%s are not deterministic', (_name, opset, call, pure) => {
  const node = only(
    parseModel(`
      <ir_version: 8, opset_import: ["": 17${opset}]>
      main (float[2] x, bool on) => (float[2] y) <float r = {0.5}> { y = ${call} }`),
  );
  expect([isPure(node), isDeterministic(node)]).toEqual([pure, false]);
});

test.each([
  ['Neg(p)', true],
  ['RandomNormalLike(p)', false],
  ['local.f(p)', false],
])('a function that is %s: deterministic %s', (body, expected) => {
  const node = only(
    parseModel(`
      <ir_version: 8, opset_import: ["": 17, "local": 1]>
      main (float[2] x) => (float[2] y) { y = local.f(x) }
      <domain: "local", opset_import: ["": 17, "local": 1]>
      f (p) => (q) { q = ${body} }`),
  );
  expect(isDeterministic(node)).toBe(expected);
});

test('subgraphs are looked into', () => {
  const model = (inner: string) =>
    only(
      parseModel(`
        <ir_version: 8, opset_import: ["": 17, "acme": 1]>
        main (float[2] x, bool c) => (float[2] y)
        {
          y = If(c) <
            then_branch = t () => (float[2] p) { p = ${inner}(x) },
            else_branch = e () => (float[2] q) { q = Neg(x) }
          >
        }`),
    );
  expect(isPure(model('Relu'))).toBe(true);
  expect(isDeterministic(model('RandomNormalLike'))).toBe(false);
  expect(isPure(model('acme.Print'))).toBe(false);
});
