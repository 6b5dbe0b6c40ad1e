/**
 * Scores of units against what they are defined to be: ablation against the masked whole model and
 * a model cut by hand, first-order scores against finite differences, statistics against plain
 * loops over activations.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { passContext } from '../pass.js';
import { ablate } from './ablation.js';
import { gradientScores } from './gradient-scores.js';
import { differentiateValue } from './gradients.js';
import type { Layer } from './layers.js';
import { openMasked } from './masked.js';
import { type Observation, observe } from './observe.js';
import { openForward, openSubject, type Rows, readRows, type Subject } from './subject.js';
import { scoreRows } from './target.js';
import { normalData, residualNet } from './test-subjects.js';

const samples = 23;
let engine: Engine;
let subject: Subject;
let data: Rows[];
let observation: Observation;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  const dataset = normalData(samples, [2, 4, 4], 3);
  subject = await openSubject(residualNet(), dataset, passContext({ engine }));
  data = await readRows(
    dataset,
    subject.ports,
    Array.from({ length: samples }, (_, i) => i),
    10,
  );
  observation = await observe(subject, data);
}, 60_000);
afterAll(() => engine.close());

const layer = (id: string): Layer => subject.layers.find((each) => each.id === id)!;

/** All values of a layer, [samples, units, places]. */
async function valuesOf({ value, units }: Layer): Promise<number[][][]> {
  const session = await openForward(subject, value.name);
  const all: number[][][] = [];
  for (const { feeds, count } of data) {
    const numbers = float32Of((await session.run(feeds))[value.name]!);
    const places = numbers.length / count / units;
    for (let row = 0; row < count; row++) {
      all.push(
        Array.from({ length: units }, (_, unit) => [
          ...numbers.subarray((row * units + unit) * places, (row * units + unit + 1) * places),
        ]),
      );
    }
  }
  await session.release();
  return all;
}

test('layers are seen behind their activation, the classes are no layer', () => {
  expect(subject.layers.map(({ id, value, kind }) => [id, value.name, kind])).toEqual([
    ['conv1', 'r1', 'channels'],
    ['conv2', 'h2', 'channels'],
    ['fc', 'r3', 'neurons'],
  ]);
  expect(subject.output?.id).toBe('last');
});

describe('statistics', () => {
  test.each(['conv1', 'conv2', 'fc'])('of %s', async (id) => {
    const found = observation.layers.get(layer(id))!;
    const values = await valuesOf(layer(id));
    const ofUnit = (unit: number) => values.flatMap((each) => each[unit]!);
    const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length;
    for (let unit = 0; unit < layer(id).units; unit++) {
      const own = ofUnit(unit);
      const centre = mean(own);
      expect(found.mean[unit]).toBeCloseTo(centre, 5);
      expect(found.variance[unit]).toBeCloseTo(mean(own.map((x) => (x - centre) ** 2)), 5);
      expect(found.zeroShare[unit]).toBeCloseTo(mean(own.map((x) => (x === 0 ? 1 : 0))), 5);
      expect(found.largest[unit]).toBeCloseTo(Math.max(...own), 5);
      const next = (unit + 1) % layer(id).units;
      const other = ofUnit(next);
      const product = mean(own.map((x, i) => (x - centre) * (other[i]! - mean(other))));
      expect(found.covariance![unit * layer(id).units + next]).toBeCloseTo(product, 4);
      values.forEach((each, sample) => {
        const at = sample * layer(id).units + unit;
        expect(found.peaks[at]).toBeCloseTo(Math.max(...each[unit]!), 5);
        expect(each[unit]![found.places[at]!]).toBeCloseTo(found.peaks[at]!, 5);
      });
    }
  });

  test('Tanh saturates near -1 and 1', async () => {
    const values = await valuesOf(layer('fc'));
    const share = (unit: number) =>
      values.filter((each) => Math.abs(each[unit]![0]!) >= 0.98).length / samples;
    const { saturatedShare } = observation.layers.get(layer('fc'))!;
    for (const [unit, found] of saturatedShare!.entries())
      expect(found).toBeCloseTo(share(unit), 5);
    expect(observation.layers.get(layer('conv1'))!.saturatedShare).toBeUndefined();
  });

  test('a unit without weights is dead', () => {
    expect(observation.layers.get(layer('conv1'))!.variance[3]).toBe(0);
  });
});

describe('ablation', () => {
  test('behind a layer is what the whole model with a mask gives', async () => {
    const found = await ablate(subject, data, observation);
    const masked = await openMasked(subject, observation, data);
    const whole = await masked.run([]);
    for (const each of subject.layers) {
      const { loss, effect, accuracy } = found.get(each)!;
      for (let unit = 0; unit < each.units; unit++) {
        const scores = await masked.run([{ layer: each, unit }]);
        const changes = [...scores.loss].map((value, at) => value - whole.loss[at]!);
        const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / samples;
        expect(loss[unit]).toBeCloseTo(mean(changes), 4);
        expect(effect[unit]).toBeCloseTo(mean(changes.map(Math.abs)), 4);
        const hits = [...scores.hits].map((hit, at) => hit - whole.hits[at]!);
        expect(accuracy[unit]).toBeCloseTo(mean(hits), 6);
      }
    }
    await masked.release();
  });

  test('classes share out the change of the accuracy', async () => {
    const found = await ablate(subject, data, observation);
    for (const { accuracy, perClass } of found.values()) {
      for (const [unit, change] of accuracy.entries()) {
        const sum = perClass!.subarray(unit * 3, unit * 3 + 3).reduce((a, b) => a + b, 0);
        expect(sum / samples).toBeCloseTo(change, 6);
      }
    }
  });
});

test('taylor is the slope of the loss by a factor on the unit', async () => {
  const wanted = subject.layers.map(({ value }) => value.name);
  const backward = await differentiateValue(subject, subject.target.logits, wanted);
  const { taylor } = await gradientScores(subject, backward, data);
  // d loss / d factor at 1, by central differences of the last layer, in float64.
  const fc = layer('fc');
  const values = await valuesOf(fc);
  const weight = await subject.output!.weights[0]!.value.constant!.numbers();
  const bias = [0, 0, 0.1];
  const targets = observation.targets.flatMap((each) => [...each]);
  const lossOf = (hidden: number[], target: number) => {
    const logits = bias.map(
      (b, c) => b + hidden.reduce((sum, h, i) => sum + h * weight[i * 3 + c]!, 0),
    );
    return Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - logits[target]!;
  };
  for (let unit = 0; unit < fc.units; unit++) {
    const slopes = values.map((each, sample) => {
      const at = (factor: number) =>
        lossOf(
          each.map(([h], i) => h! * (i === unit ? factor : 1)),
          targets[sample]!,
        );
      return Math.abs((at(1 + 1e-5) - at(1 - 1e-5)) / 2e-5);
    });
    const mean = slopes.reduce((a, b) => a + b, 0) / samples;
    expect(taylor.get(fc)![unit]).toBeCloseTo(mean, 5);
  }
});

test('rows repeat their targets', () => {
  const { target } = subject;
  const logits = Float32Array.of(1, 0, 0, 0, 2, 0, 1, 0, 0, 0, 2, 0);
  const { hits, predicted } = scoreRows(target, logits, 4, Int32Array.of(0, 0));
  expect([...hits]).toEqual([1, 0, 1, 0]);
  expect([...predicted]).toEqual([0, 1, 0, 1]);
});
