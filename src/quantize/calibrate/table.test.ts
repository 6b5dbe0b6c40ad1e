import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { printModel } from '../../graph/print.js';
import { applyPass, type PassContext } from '../../pass.js';
import { createRandom } from '../../random.js';
import { randomSamples, type StaticInput, samplesOf } from '../../testing/node-static.js';
import { staticScheme } from '../static.js';
import { calibrate } from './calibrate.js';
import { calibratorNames, calibrators } from './calibrators.js';
import { chosenRanges } from './chosen-ranges.js';
import { addToHistogram, histogramBins, storedCounts } from './statistics.js';
import {
  type CalibrationEntry,
  type CalibrationTable,
  parseCalibration,
  pinRanges,
  printCalibration,
} from './table.js';

let engine: Engine;
let feeds: Feeds[];
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  feeds = await randomSamples(engine, model, 6);
});
afterAll(() => engine.close());

/** The Clip is absorbed by uint8 and must stand with int8 that reach below zero. */
const text = `main (float[1,4,8,8] x) => (float[1,4,8,8] y)
  < float[4,4,3,3] a = normal(seed=1, std=0.2), float[4,4,3,3] b = normal(seed=2, std=0.2), float zero = {0}, float six = {6} >
  { p = Conv<pads = [1,1,1,1]>(x, a) q = Clip(p, zero, six) y = Conv<pads = [1,1,1,1]>(q, b) }`;
const model = parseModel(text);

const made = (given: StaticInput = {}, source: Model = model, samples = feeds) =>
  calibrate(
    source,
    given,
    { engine, samples: samplesOf(samples) },
    { version: '1.2.3', data: 'f00' },
  );
const quantized = async (options: StaticInput, context: Partial<PassContext>) => {
  const { model: small, report } = await applyPass(model, staticScheme, options, {
    engine,
    ...context,
  });
  return { text: await printModel(small, { weights: 'full' }), notes: report.notes };
};
const reread = (table: CalibrationTable) => parseCalibration(printCalibration(table));

const entry = fc.integer({ min: 1, max: 1e6 }).map((seed): CalibrationEntry => {
  const random = createRandom(seed);
  const values = Float32Array.from({ length: 300 }, () => random.normal() * 10 ** (seed % 9));
  const [min, max] = [Math.min(...values), Math.max(...values)];
  const counts = new Float64Array(histogramBins);
  const zeros = addToHistogram(counts, values, min, max);
  counts[seed % histogramBins]! += 1 / 3;
  const histogram = { low: min, high: max, counts: storedCounts(counts), zeros };
  const means = { meanMin: min / 3, meanMax: max / 7 };
  return { dims: ['N', 3, null], min, max, ...means, samples: 3, elements: 300, histogram };
});

describe('the text of a table', () => {
  test('reads back as the same table, to the last bit', () => {
    const names = fc.uniqueArray(
      fc.string({ minLength: 1 }).filter((name) => name !== '__proto__'),
      {
        minLength: 1,
        maxLength: 3,
      },
    );
    fc.assert(
      fc.property(names, fc.array(entry, { minLength: 3, maxLength: 3 }), (keys, entries) => {
        const values = new Map(keys.map((name, at) => [name, entries[at]!]));
        const pinned = new Map([[keys[0]!, { min: -0.1, max: 1 / 3 }]]);
        const head = { pare: '1', calibrator: 'mse', model: 'ab', data: undefined };
        const table = { ...head, values, pinned };
        // The order of names that are whole numbers is that of JavaScript objects.
        expect(reread(table)).toEqual(table);
      }),
      { numRuns: 8 },
    );
  });

  test('has no room for mistakes', async () => {
    const json = JSON.parse(printCalibration(await made()));
    const broken = (change: (document: typeof json) => void) => {
      const document = structuredClone(json);
      change(document);
      return () => parseCalibration(JSON.stringify(document), 'table.json');
    };
    expect(() => parseCalibration('{', 'table.json')).toThrow(/is not JSON/);
    expect(broken((each) => delete each.format)).toThrow(/no calibration table/);
    expect(broken((each) => void (each.version = 2))).toThrow(
      /format version 2, this pare reads 1/,
    );
    expect(broken((each) => void (each.values.x.max = null))).toThrow(/wrong entry values\.x\.max/);
    expect(broken((each) => void (each.values.x.histogram.counts = 'AAAA'))).toThrow(
      /the histogram of "x" is damaged/,
    );
    expect(broken((each) => void (each.pinned.x = { min: 1, max: 0 }))).toThrow(/pinned\.x/);
  });
});

describe('a table in place of samples', () => {
  test.each(calibratorNames)('%s finds the same in it', async (calibrator) => {
    const table = reread(await made());
    for (const symmetric of [false, true]) {
      const options: StaticInput = {
        calibrator,
        symmetric,
        activations: 'int8',
        biasCorrection: false,
      };
      const direct = await quantized(options, { samples: samplesOf(feeds) });
      expect(await quantized(options, { calibration: table })).toEqual(direct);
    }
  });

  test('with samples too the biases are corrected, without them the report says so', async () => {
    const table = await made();
    const samples = samplesOf(feeds);
    const direct = await quantized({}, { samples });
    expect(await quantized({}, { samples, calibration: table })).toEqual(direct);
    const { text: plain, notes } = await quantized({}, { calibration: table });
    expect(plain).not.toBe(direct.text);
    expect(notes).toContainEqual(expect.stringMatching(/^bias correction is off/));
  });

  test('pinned ranges hold', async () => {
    const table = pinRanges(await made(), { q: { min: 0, max: 2.55 } });
    const { text: pinned } = await quantized({}, { calibration: reread(table) });
    expect(pinned).toMatch(/float q_scale = \{0\.0[01]/);
    const given: StaticInput = { ranges: { q: { min: 0, max: 2.55 } }, biasCorrection: false };
    expect(await quantized({ biasCorrection: false }, { calibration: table })).toEqual(
      await quantized(given, { samples: samplesOf(feeds) }),
    );
    expect(() => pinRanges(table, { qq: { min: 0, max: 1 } })).toThrow(/no value "qq"/);
    expect(() => pinRanges(table, { q: { min: 0, max: Number.NaN } })).toThrow(/0 to NaN/);
  });

  test('other weights are a remark, other values an error, missing ones too', async () => {
    const retrained = parseModel(text.replace('seed=2', 'seed=3'));
    const { notes } = await quantized({}, { calibration: await made({}, retrained) });
    expect(notes).toContainEqual(
      expect.stringMatching(/made of another model \([0-9a-f]{12}, this/),
    );
    const renamed = parseModel(text.replace(/\bp\b/g, 'other'));
    await expect(quantized({}, { calibration: await made({}, renamed) })).rejects.toThrow(
      /1 of the table's 4 values are not in the model: "other"/,
    );
    const part = await made({ exclude: ['op:Clip', 'y'] });
    await expect(quantized({}, { calibration: part })).rejects.toThrow(
      /the calibration table has nothing of "[qy]"/,
    );
    const samples = samplesOf(feeds);
    expect(await quantized({}, { calibration: part, samples })).toMatchObject({
      text: (await quantized({}, { samples })).text,
    });
  });

  test('a value that was always empty is known as such', async () => {
    const open = parseModel(text.replaceAll('float[1,4,8,8]', 'float[N,4,8,8]'));
    const none = {
      x: { dataType: 'float' as const, dims: [0, 4, 8, 8], data: new Float32Array() },
    };
    const table = reread(await made({}, open, [none]));
    expect(table.values.get('x')).toMatchObject({
      elements: 0,
      min: 0,
      max: 0,
      dims: ['N', 4, 8, 8],
    });
    await applyPass(open, staticScheme, {}, { engine, calibration: table });
  });

  test('no samples, no table', async () => {
    await expect(calibrate(model, {}, { engine }, { version: '1' })).rejects.toThrow(
      /needs samples/,
    );
  });
});

test('what is shown of a table is what integers will cover', async () => {
  const table = pinRanges(await made(), { q: { min: 0, max: 0.5 } });
  for (const { name: calibrator } of calibrators) {
    const rows = chosenRanges(table, { calibrator, activations: 'uint8', symmetric: false });
    expect(rows.map(({ name }) => name)).toEqual(['x', 'p', 'q', 'y']);
    for (const { name, range, scale, zeroPoint, clipped } of rows) {
      const { min, max, histogram } = table.values.get(name)!;
      expect(range.min).toBeGreaterThanOrEqual(Math.min(0, min));
      expect(range.max).toBeLessThanOrEqual(Math.max(0, max));
      expect(scale).toBeCloseTo((Math.max(0, range.max) - Math.min(0, range.min)) / 255, 6);
      expect(zeroPoint).toBe(name === 'q' ? 0 : Math.round(-range.min / scale));
      expect(histogram!.counts).toHaveLength(histogramBins);
      if (calibrator === 'min-max' && name !== 'q') expect(clipped).toBe(0);
      if (name === 'q') expect(clipped).toBeGreaterThan(0.01);
    }
  }
});
