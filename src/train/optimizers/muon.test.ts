/** Muon on the runtime: its formulas in double precision, what it is for, and what goes by AdamW. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of, hostTensor } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { createNodeEngine } from '../../engine/node.js';
import { Emitter } from '../../graph/emitter.js';
import { Model } from '../../graph/model.js';
import { tensorType } from '../../graph/value-type.js';
import { elementCount } from '../../onnx/data-type.js';
import { createRandom } from '../../random.js';
import { optimizerNamed, optimizerOptions } from './index.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const rate = 0.1;

/** The weight and the state behind each step; weight and state are zero at first. */
async function run(
  given: object,
  dims: number[],
  gradients: readonly Float32Array[],
  keep?: readonly number[],
) {
  const options = optimizerOptions.parse({ optimizer: 'muon', relative: false, ...given });
  const optimizer = optimizerNamed('muon');
  const model = new Model({ opsets: [['', 18]] });
  const { graph } = model;
  const input = (name: string, own: number[] = dims) =>
    graph.addInput(name, tensorType('float', own));
  const emitter = new Emitter(graph);
  const slots = optimizer.slots(options, { dims, isSparse: false });
  const { weight, state } = optimizer.update({
    emitter,
    weight: input('weight'),
    gradient: input('gradient'),
    state: Object.fromEntries(slots.map((slot) => [slot, input(slot)])),
    learningRate: input('rate', []),
    step: input('step', []),
    weightDecay: options.weightDecay,
    magnitude: 1,
    dims,
    keep: keep && emitter.constant('float', dims, keep),
    options,
  });
  graph.outputs.push(weight, ...Object.values(state));
  const session = await engine.createSession(await modelSource(model));
  const known = new Set(session.inputs.map(({ name }) => name));
  const zeros = () => hostTensor('float', dims, new Float32Array(elementCount(dims)));
  let carried = Object.fromEntries(['weight', ...slots].map((name) => [name, zeros()]));
  const weights: Float32Array[] = [];
  for (const [at, gradient] of gradients.entries()) {
    const all = {
      ...carried,
      gradient: hostTensor('float', dims, gradient),
      rate: hostTensor('float', [], Float32Array.of(rate)),
      step: hostTensor('float', [], Float32Array.of(at + 1)),
    };
    const fed = Object.fromEntries(Object.entries(all).filter(([name]) => known.has(name)));
    const results = await session.run(fed);
    carried = { weight: results[weight.name]! };
    for (const [slot, value] of Object.entries(state)) carried[slot] = results[value.name]!;
    weights.push(float32Of(carried.weight!));
  }
  await session.release();
  return { weights, carried, slots };
}

function normals(count: number, seed: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: count }, () => random.next() + random.next() - 1);
}

type Matrix = number[][];
const times = (x: Matrix, y: Matrix): Matrix =>
  x.map((row) => y[0]!.map((_, j) => row.reduce((sum, each, k) => sum + each * y[k]![j]!, 0)));
const turn = (x: Matrix): Matrix => x[0]!.map((_, j) => x.map((row) => row[j]!));
const plus = (...parts: [number, Matrix][]): Matrix =>
  parts[0]![1].map((row, i) =>
    row.map((_, j) => parts.reduce((sum, [factor, x]) => sum + factor * x[i]![j]!, 0)),
  );

/** Jordan 2024: X <- a X + (b A + c A A) X with A = X X', of the wide form of X / |X|. */
function newtonSchulz(matrix: Matrix): Matrix {
  const isTall = matrix.length > matrix[0]!.length;
  const norm = Math.hypot(...matrix.flat());
  let x = plus([1 / norm, isTall ? turn(matrix) : matrix]);
  for (let round = 0; round < 5; round++) {
    const square = times(x, turn(x));
    const inner = plus([-4.775, square], [2.0315, times(square, square)]);
    x = plus([3.4445, x], [1, times(inner, x)]);
  }
  return isTall ? turn(x) : x;
}

test.each([
  ['wide', [3, 2, 2, 2]],
  ['tall', [7, 3]],
])('%s: momentum that looks ahead, made orthogonal, beside its decay', async (_, dims) => {
  const [rows, columns] = [dims[0]!, elementCount(dims.slice(1))];
  const gradients = [1, 2, 3].map((seed) => normals(rows * columns, seed));
  const { weights } = await run({ weightDecay: 0.2 }, dims, gradients);
  let [weight, momentum] = [0, 0].map(() => matrixOf(new Float32Array(rows * columns), columns));
  for (const [at, gradient] of gradients.entries()) {
    const g = matrixOf(gradient, columns);
    momentum = plus([0.9, momentum!], [1, g]);
    const direction = newtonSchulz(plus([1, g], [0.9, momentum]));
    const length = rate * 0.2 * Math.sqrt(Math.max(rows, columns));
    weight = plus([1 - rate * 0.2, weight!], [-length, direction]);
    const wanted = weight.flat();
    for (const [place, number] of weights[at]!.entries()) {
      expect(number).toBeCloseTo(wanted[place]!, 4);
    }
  }
});

function matrixOf(numbers: ArrayLike<number>, columns: number): Matrix {
  return Array.from({ length: numbers.length / columns }, (_, row) =>
    Array.from({ length: columns }, (_, column) => numbers[row * columns + column]!),
  );
}

test('a step is about as long in every direction, also where gradients are a thousand times smaller', async () => {
  const [rows, columns] = [6, 20];
  const gradient = normals(rows * columns, 5).map(
    (each, at) => each / 3 ** Math.floor(at / columns),
  );
  const { weights } = await run({ weightDecay: 0 }, [rows, columns], [gradient]);
  const step = matrixOf(weights[0]!, columns);
  const gram = times(step, turn(step));
  const unit = (rate * 0.2) ** 2 * columns;
  // Rows of the gradient are nearly at right angles, so their lengths are its singular values.
  for (const [row, each] of gram.entries()) {
    expect(each[row]! / unit).toBeGreaterThan(0.4);
    expect(each[row]! / unit).toBeLessThan(1.5);
  }
});

test('entries that are to stay zero do, though the others move', async () => {
  const keep = Array.from({ length: 12 }, (_, at) => Number(at % 3 !== 0));
  const gradient = normals(12, 7).map((each, at) => each * keep[at]!);
  const { weights } = await run({}, [3, 4], [gradient, gradient], keep);
  for (const [at, weight] of weights[1]!.entries()) {
    if (keep[at]) expect(Math.abs(weight)).toBeGreaterThan(0);
    else expect(weight).toBe(0);
  }
});

test.each([[[6]], [[6, 1, 3, 3]], [[1, 8]], [[20_000, 2]]])(
  'what is no matrix to be turned, %j, goes by AdamW',
  async (dims) => {
    const { slots } = await run({}, dims, [normals(elementCount(dims), 3)]);
    expect(slots).toEqual(['mean', 'square']);
  },
);

test('a zero gradient moves nothing', async () => {
  const { weights } = await run({}, [2, 3], [new Float32Array(6)]);
  expect([...weights[0]!]).toEqual([0, 0, 0, 0, 0, 0]);
});
