import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { checkGradients } from '../testing/node-gradients.js';
import { runModel } from '../testing/node-models.js';
import { appendLoss, type LossTerm } from './append-loss.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Logits of two samples and three classes. */
const logits = [1, 2, -1, 0.5, 0, 3];
const teacher = [2, 0, -1, 1, 1, 1];
const x = hostTensor('float', [2, 3], Float32Array.from(logits));
const t = hostTensor('float', [2, 3], Float32Array.from(teacher));
const labels = hostTensor('int64', [2], BigInt64Array.of(1n, 2n));

async function lossOf(terms: readonly LossTerm[], feeds: Feeds, dims = '[N,3]') {
  const model = parseModel(
    `<ir_version: 10, opset_import: ["" : 18]>\nmain (float${dims} x) => (y) {\n y = Identity(x)\n}`,
  );
  model.graph.value('y').type = model.graph.value('x').type;
  const loss = appendLoss(model, terms);
  model.graph.outputs.splice(0, 1, loss);
  const { outputs } = await runModel(engine, model, feeds);
  const wanted = Object.keys(feeds).filter((name) => feeds[name]!.dataType === 'float');
  const check = await checkGradients(engine, model, { feeds, wanted });
  expect(check.worst).toBeLessThan(2e-3);
  return float32Of(outputs[loss.name]!)[0]!;
}

const rows = [logits.slice(0, 3), logits.slice(3)];
const softmax = (row: readonly number[], temperature = 1) => {
  const powers = row.map((each) => Math.exp(each / temperature));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((each) => each / total);
};
const average = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b) / numbers.length;

describe('losses are what their formulas say', () => {
  const entropy = (options = {}): LossTerm => ({
    loss: 'cross-entropy',
    output: 'y',
    target: 'label',
    options,
  });
  const own = [-Math.log(softmax(rows[0]!)[1]!), -Math.log(softmax(rows[1]!)[2]!)];

  test('cross-entropy', async () => {
    expect(await lossOf([entropy()], { x, label: labels })).toBeCloseTo(average(own), 5);
  });

  test('label smoothing', async () => {
    const spread = rows.map((row) => average(softmax(row).map((p) => -Math.log(p))));
    const expected = 0.9 * average(own) + 0.1 * average(spread);
    const loss = await lossOf([entropy({ labelSmoothing: 0.1 })], { x, label: labels });
    expect(loss).toBeCloseTo(expected, 5);
  });

  test('shares of classes, one class alone among them', async () => {
    const term = (options = {}) => ({ ...entropy(options), loss: 'soft-cross-entropy' });
    const parts = [
      [0.25, 0.75, 0],
      [0, 0, 1],
    ];
    const label = hostTensor('float', [2, 3], Float32Array.from(parts.flat()));
    const logs = rows.map((row) => softmax(row).map((p) => -Math.log(p)));
    const expected = logs.map((row, at) => row.reduce((sum, l, i) => sum + l * parts[at]![i]!, 0));
    expect(await lossOf([term()], { x, label })).toBeCloseTo(average(expected), 5);
    const smooth = 0.9 * average(expected) + 0.1 * average(logs.map(average));
    expect(await lossOf([term({ labelSmoothing: 0.1 })], { x, label })).toBeCloseTo(smooth, 5);
  });

  test('an ignored class does not count, nor does a batch of nothing else', async () => {
    const loss = await lossOf([entropy({ ignoreIndex: 1 })], { x, label: labels });
    expect(loss).toBeCloseTo(own[1]!, 5);
    const none = hostTensor('int64', [2], BigInt64Array.of(-100n, -100n));
    expect(await lossOf([entropy({ ignoreIndex: -100 })], { x, label: none })).toBe(0);
  });

  test('classes on axis 1', async () => {
    const image = hostTensor('float', [1, 3, 2], Float32Array.of(1, 0.5, 2, 0, -1, 3));
    const label = hostTensor('int64', [1, 2], BigInt64Array.of(1n, 2n));
    const loss = await lossOf([entropy({ axis: 1 })], { x: image, label }, '[N,C,2]');
    expect(loss).toBeCloseTo(average(own), 5);
  });

  test('distillation', async () => {
    const T = 3;
    const parts = rows.map((row, at) => {
      const p = softmax(teacher.slice(3 * at, 3 * at + 3), T);
      const q = softmax(row, T);
      return p.reduce((sum, each, i) => sum + each * Math.log(each / q[i]!), 0);
    });
    const options = { temperature: T };
    const term = { loss: 'distillation', output: 'y', target: 'teacher', options };
    expect(await lossOf([term], { x, teacher: t })).toBeCloseTo(T * T * average(parts), 5);
  });

  test('differences and angles', async () => {
    const term = (loss: string) => [{ loss, output: 'y', target: 't' }];
    const gaps = logits.map((each, i) => each - teacher[i]!);
    const squares = average(gaps.map((gap) => gap * gap));
    expect(await lossOf(term('mse'), { x, t })).toBeCloseTo(squares, 5);
    const moved = hostTensor(
      'float',
      [2, 3],
      Float32Array.from(teacher, (each) => each + 0.1),
    );
    const absolute = average(gaps.map((gap) => Math.abs(gap - 0.1)));
    expect(await lossOf(term('l1'), { x, t: moved })).toBeCloseTo(absolute, 5);
    const energy = average(teacher.map((each) => each * each));
    expect(await lossOf(term('feature-mse'), { x, t })).toBeCloseTo(squares / energy, 5);
    const cosines = rows.map((row, at) => {
      const other = teacher.slice(3 * at, 3 * at + 3);
      const dot = row.reduce((sum, each, i) => sum + each * other[i]!, 0);
      return dot / (Math.hypot(...row) * Math.hypot(...other));
    });
    expect(await lossOf(term('cosine'), { x, t })).toBeCloseTo(1 - average(cosines), 5);
  });

  test('a weighted sum', async () => {
    const both = [
      { ...entropy(), weight: 0.25 },
      { loss: 'mse', output: 'y', target: 't', weight: 2 },
    ];
    const squares = average(logits.map((each, i) => (each - teacher[i]!) ** 2));
    const loss = await lossOf(both, { x, t, label: labels });
    expect(loss).toBeCloseTo(0.25 * average(own) + 2 * squares, 4);
  });
});

test('unknown losses and wrong options are usage errors', async () => {
  const term = { output: 'y', target: 't' };
  await expect(lossOf([{ ...term, loss: 'hinge' }], { x })).rejects.toThrow('hinge');
  const options = { temperature: 0 };
  await expect(lossOf([{ ...term, loss: 'distillation', options }], { x })).rejects.toThrow(
    'temperature',
  );
});
