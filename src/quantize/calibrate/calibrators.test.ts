import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../random.js';
import { calibratorNamed, calibrators } from './calibrators.js';
import { squaredError } from './mse.js';
import { addToHistogram, histogramBins, type ValueStatistics } from './statistics.js';

/** Statistics of one sample with these values. */
function statisticsOf(values: Float32Array): ValueStatistics {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  const counts = new Float64Array(histogramBins);
  const zeros = addToHistogram(counts, values, min, max);
  const histogram = { low: min, high: max, counts, zeros };
  return { min, max, meanMin: min, meanMax: max, samples: 1, elements: values.length, histogram };
}

type Kind = 'normal' | 'laplace' | 'relu' | 'uniform';

function draw(kind: Kind, seed: number, outlier = 0, count = 20_000): Float32Array {
  const random = createRandom(seed);
  const makers: Record<Kind, () => number> = {
    normal: () => random.normal(),
    laplace: () => Math.sign(random.next() - 0.5) * -Math.log(1 - random.next()),
    relu: () => Math.max(0, random.normal() - 0.3),
    uniform: () => 2 * random.next() - 0.7,
  };
  const values = Float32Array.from({ length: count }, makers[kind]);
  if (outlier !== 0) values[count >> 1] = outlier;
  return values;
}

const options = { levels: 256, symmetric: false } as const;
const kinds = fc.constantFrom<Kind>('normal', 'laplace', 'relu', 'uniform');
const data = fc.record({
  kind: kinds,
  seed: fc.integer({ min: 1, max: 1000 }),
  outlier: fc.constantFrom(0, 8, -8, 60),
});
const errorOf = (seen: ValueStatistics, { min, max }: { min: number; max: number }) =>
  squaredError(seen.histogram!, { min: Math.min(0, min), max: Math.max(0, max) }, 256);

describe.each(calibrators.map(({ name }) => name))('%s', (name) => {
  const calibrator = calibratorNamed(name);

  test('ranges lie inside the extremes, or reach to zero', () => {
    fc.assert(
      fc.property(data, fc.boolean(), ({ kind, seed, outlier }, symmetric) => {
        const seen = statisticsOf(draw(kind, seed, outlier, 4000));
        const { min, max } = calibrator.range(seen, { levels: 256, symmetric });
        expect(min).toBeLessThan(max);
        const peak = Math.max(-seen.min, seen.max);
        const lowest = symmetric ? -peak : Math.min(0, seen.min);
        expect(min).toBeGreaterThanOrEqual(lowest * (1 + 1e-9));
        expect(max).toBeLessThanOrEqual((symmetric ? peak : Math.max(0, seen.max)) * (1 + 1e-9));
      }),
      { numRuns: 30 },
    );
  });

  test('a constant has its own value for a range', () => {
    expect(calibrator.range(statisticsOf(new Float32Array(9).fill(2)), options)).toEqual({
      min: 2,
      max: 2,
    });
  });

  test('more of the same data changes nothing', () => {
    const once = draw('relu', 3, 9);
    const twice = new Float32Array([...once, ...once]);
    expect(calibrator.range(statisticsOf(twice), options)).toEqual(
      calibrator.range(statisticsOf(once), options),
    );
  });
});

test('percentile 100 is min-max', () => {
  fc.assert(
    fc.property(data, ({ kind, seed, outlier }) => {
      const seen = statisticsOf(draw(kind, seed, outlier, 2000));
      const found = calibratorNamed('percentile').range(seen, { ...options, percentile: 100 });
      expect(found).toEqual(calibratorNamed('min-max').range(seen, options));
    }),
    { numRuns: 30 },
  );
});

test('mse has no larger error than any other', () => {
  fc.assert(
    fc.property(data, ({ kind, seed, outlier }) => {
      const seen = statisticsOf(draw(kind, seed, outlier));
      const least = errorOf(seen, calibratorNamed('mse').range(seen, options));
      const full = errorOf(seen, calibratorNamed('min-max').range(seen, options));
      expect(least).toBeLessThanOrEqual(full * (1 + 1e-9));
    }),
    { numRuns: 20 },
  );
});

describe('entropy', () => {
  const { range } = calibratorNamed('entropy');

  test.each(['normal', 'laplace', 'relu'] as const)('cuts off one outlier of %s data', (kind) => {
    const seen = statisticsOf(draw(kind, 5, 60));
    const { max } = range(seen, options);
    expect(max).toBeLessThan(30);
    expect(
      errorOf(
        { ...seen, histogram: statisticsOf(draw(kind, 5)).histogram },
        { min: seen.min, max },
      ),
    ).toBeLessThan(errorOf(seen, seen));
  });

  test('uniform data is not clipped', () => {
    const seen = statisticsOf(draw('uniform', 2));
    expect(range(seen, options).max).toBeGreaterThan(0.98 * seen.max);
  });

  test('zeros that ReLU leaves do not move the range', () => {
    const positive = draw('relu', 4).filter((value) => value > 0);
    const withZeros = (count: number) =>
      statisticsOf(Float32Array.from([...positive, ...new Float32Array(count)]));
    const few = range(withZeros(1), options);
    expect(range(withZeros(5 * positive.length), options)).toEqual(few);
  });
});
