import { expect, test } from 'vitest';
import { parseModel } from './graph/parse.js';
import { nodeChooser, nodeMatcher } from './pattern.js';

const model = parseModel(`main (float[2] x, bool c) => (float[2] y)
  { ["layers.0.attn/q"] a = Relu(x)
    ["layers.1.attn/q"] b = com.microsoft.Gelu(a)
    ["odd*(name"] d = Relu(b)
    [branch] y = If(c) <
      then_branch = t () => (float[2] u) { [inner] u = Neg(d) },
      else_branch = e () => (float[2] v) { v = Abs(d) }
    > }`);

function chosen(patterns: readonly string[]): string[] {
  const matches = nodeMatcher(patterns);
  return [...model.allNodes()].filter(matches).map(({ label }) => label);
}

test.each([
  [['inner'], ['inner']],
  [['layers.*'], ['layers.0.attn/q', 'layers.1.attn/q']],
  [['layers.*.attn/*'], ['layers.0.attn/q', 'layers.1.attn/q']],
  // A dot is a dot and no wildcard, and a name is matched as a whole.
  [['layersx0*', 'layers', 'attn'], []],
  [['op:Relu'], ['layers.0.attn/q', 'odd*(name']],
  [['op:com.microsoft:Gelu'], ['layers.1.attn/q']],
  [['op:Gelu'], ['layers.1.attn/q']],
  [['op:*elu'], ['layers.0.attn/q', 'layers.1.attn/q', 'odd*(name']],
  [['odd*(name'], ['odd*(name']],
  // Nodes without a name go by their first output.
  [['v'], ['v']],
  [[], []],
])('%j', (patterns, labels) => {
  // The text form gives nodes without a name none.
  expect(chosen(patterns)).toEqual(labels);
});

test('excluding wins over including, and no include means all', () => {
  const reason = (choice: Parameters<typeof nodeChooser>[1]) => {
    const leaveOut = nodeChooser(model, choice);
    return [...model.graph.nodes].map((node) => leaveOut(node));
  };
  const left = 'not included by the caller';
  const out = 'excluded by the caller';
  expect(reason({ include: [], exclude: [] })).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(reason({ include: ['op:Relu'], exclude: ['odd*'] })).toEqual([undefined, left, out, left]);
});

test('a pattern without a node is a usage error that names it', () => {
  expect(() => nodeChooser(model, { include: [], exclude: ['op:Relu', 'layer.*'] })).toThrow(
    'exclude: "layer.*" matches no node of the model',
  );
});
