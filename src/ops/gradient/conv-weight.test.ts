/** All ways to write the gradient of a convolution's weight give the same numbers. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of, randomFeeds } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { createNodeEngine } from '../../engine/node.js';
import { Emitter } from '../../graph/emitter.js';
import { Model } from '../../graph/model.js';
import { tensorType } from '../../graph/value-type.js';
import { convWeightGradient, possibleRecipes } from './conv-weight.js';
import { GradientEmitter } from './rule.js';
import { windowOf } from './window.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

interface Shape {
  readonly channels: number;
  readonly outputs: number;
  /** Default 3. */
  readonly samples?: number;
  readonly group: number;
  readonly side: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly strides?: readonly [number, number];
  readonly dilations?: readonly [number, number];
  /** Whether the batch is not fixed when the gradient is written. */
  readonly open?: boolean;
  /** The recipe that the rule chooses, and what must be among the others. */
  readonly first: string;
  readonly others: readonly string[];
}

const small: Shape = {
  channels: 6,
  outputs: 8,
  group: 1,
  side: [12, 11],
  kernel: [3, 3],
  pads: [1, 1, 1, 1],
  first: 'shifts',
  others: ['taps', 'swapped'],
};
const depthwise: Shape = { ...small, outputs: 6, group: 6, first: 'plane', others: ['rows'] };
const single: Shape = { ...depthwise, samples: 1, first: 'shifts', others: ['taps', 'swapped'] };

const shapes: Record<string, Shape> = {
  'padded alike': small,
  'padded on one side, uneven kernel': { ...small, kernel: [2, 5], pads: [0, 3, 1, 0] },
  'not padded, more rows of x than of dY': { ...small, kernel: [5, 3], pads: [0, 0, 0, 0] },
  dilated: { ...small, dilations: [2, 3], pads: [2, 3, 2, 3] },
  'uneven, as wide as before': { ...small, kernel: [2, 5], pads: [0, 3, 1, 1] },
  'dilated, padded below': { ...small, kernel: [4, 3], pads: [1, 3, 3, 1], dilations: [2, 2] },
  'a row as kernel': { ...small, kernel: [1, 3], pads: [0, 0, 0, 2] },
  'a column as kernel, padded above': { ...small, kernel: [3, 1], pads: [4, 0, 0, 0] },
  'rows without a partner': {
    ...small,
    pads: [0, 1, 0, 1],
    dilations: [4, 1],
    first: 'taps',
    others: ['swapped', 'shifts'],
  },
  'the batch open': { ...small, open: true },
  'more columns than are joined': { ...small, channels: 48, outputs: 48 },
  'many places': { ...small, channels: 48, outputs: 48, side: [27, 28] },
  groups: { ...small, channels: 12, group: 2 },
  strided: { ...small, strides: [2, 3], first: 'swapped', others: ['taps'] },
  point: { ...small, kernel: [1, 1], pads: [0, 0, 0, 0], first: 'product', others: ['swapped'] },
  'depthwise, all places': { ...depthwise, others: ['rows', 'taps', 'swapped'] },
  'depthwise, strided': { ...depthwise, strides: [2, 1] },
  'depthwise, uneven': { ...depthwise, kernel: [2, 3], pads: [0, 2, 1, 0], dilations: [3, 1] },
  'depthwise, larger': { ...depthwise, side: [20, 24], first: 'rows', others: ['taps'] },
  'depthwise, wide': { ...depthwise, side: [3, 70], first: 'taps', others: ['swapped'] },
  'depthwise, one sample': { ...single, pads: [0, 2, 1, 0], dilations: [1, 3] },
  'depthwise, one sample, strided': { ...single, strides: [2, 3], first: 'taps', others: [] },
  'few channels, one sample, strided': {
    ...small,
    samples: 1,
    channels: 3,
    side: [18, 19],
    strides: [2, 2],
    first: 'taps',
    others: ['swapped'],
  },
};

test.each(Object.entries(shapes))('%s', async (_, shape) => {
  const { model, recipes } = build(shape);
  expect(recipes[0]).toBe(shape.first);
  expect(recipes).toEqual(expect.arrayContaining([...shape.others]));
  const session = await engine.createSession(await modelSource(model));
  const results = await session.run(randomFeeds(session.inputs, { seed: 3, dims: { batch: 3 } }));
  await session.release();
  const [first, ...rest] = Object.values(results).map(float32Of);
  const most = first!.reduce((largest, number) => Math.max(largest, Math.abs(number)), 0);
  for (const other of rest) {
    expect(other.length).toBe(first!.length);
    const error = other.reduce(
      (worst, number, at) => Math.max(worst, Math.abs(number - first![at]!)),
      0,
    );
    expect(error).toBeLessThan(1e-5 * most);
  }
});

/** One output per recipe that fits. */
function build(shape: Shape) {
  const { channels, outputs, group, side, kernel, pads } = shape;
  const { strides = [1, 1], dilations = [1, 1], samples = 3, open } = shape;
  const model = new Model({ opsets: [['', 21]], irVersion: 10 });
  const { graph } = model;
  const places = [0, 1].map((axis) => {
    const reach = dilations[axis]! * (kernel[axis]! - 1) + 1;
    const room = side[axis]! + pads[axis]! + pads[axis + 2]! - reach;
    return Math.floor(room / strides[axis]!) + 1;
  });
  const batch = open ? 'batch' : samples;
  const x = graph.addInput('x', tensorType('float', [batch, channels, ...side]));
  const dy = graph.addInput('dy', tensorType('float', [batch, outputs, ...places]));
  const weight = [outputs, channels / group, ...kernel];
  const attributes = { kernel_shape: [...kernel], strides: [...strides], pads: [...pads] };
  const node = graph.addNode({
    opType: 'Conv',
    inputs: [x, graph.addInput('w', tensorType('float', weight))],
    attributes: { ...attributes, dilations: [...dilations], group },
  });
  const window = windowOf(node, x);
  const parts = { x, dy, xShape: x, dyShape: dy, weight, group, window };
  const context = { node, outputGradients: [dy], type: 'float', scatter: true } as const;
  const g = new GradientEmitter({ ...context, widen: (value) => value }, new Emitter(graph));
  const recipes = possibleRecipes(parts);
  for (const recipe of recipes) graph.outputs.push(convWeightGradient(g, parts, recipe));
  return { model, recipes };
}
