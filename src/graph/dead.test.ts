import { expect, test } from 'vitest';
import { removeDead } from './dead.js';
import { parseModel } from './parse.js';
import { printModel } from './print.js';

test('nodes and initializers that no output needs go, inputs stay', async () => {
  const model = parseModel(`main (float[2] x, float[2] unused) => (float[2] y)
    < float[2] w = {1, 2}, float[2] v = {3, 4} >
    { a = Add(x, v) b = Mul(a, a) y = Add(x, w) }`);
  expect(removeDead(model.graph)).toEqual({ nodes: 2, initializers: 1 });
  expect(await printModel(model)).toBe(
    await printModel(
      parseModel(`main (float[2] x, float[2] unused) => (float[2] y)
        < float[2] w = {1, 2} > { y = Add(x, w) }`),
    ),
  );
});

test('what a subgraph captures lives as long as its user in there', () => {
  const text = `main (float[2] x, bool c) => (float[2] y) < float[2] w = {1, 2} >
    { k = Neg(x)
      d = Abs(x)
      y = If(c) <
        then_branch = t () => (float[2] u) < float[2] s = {1, 2} >
          { z = Add(d, s) u = Add(k, w) },
        else_branch = e () => (float[2] v) { v = Neg(x) }
      > }`;
  const model = parseModel(text);
  // z and its initializer go first, and then d, which only z used.
  expect(removeDead(model.graph)).toEqual({ nodes: 2, initializers: 1 });
  expect([...model.graph.allNodes()].map((node) => node.label)).toEqual(['k', 'y', 'u', 'v']);
});

test('a node stays when any of its outputs is used', () => {
  const model = parseModel(`main (float[4] x) => (float[2] b)
    < int64[2] s = {2, 2} > { a, b = Split(x, s) }`);
  expect(removeDead(model.graph)).toEqual({ nodes: 0, initializers: 0 });
});
