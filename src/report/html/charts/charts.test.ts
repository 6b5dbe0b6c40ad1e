import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { histogramChart } from './histogram.js';
import { lineChart } from './line.js';
import { squarify } from './treemap.js';

describe('squarify', () => {
  it('gives every tile its share of the whole, and no two the same place', () => {
    const values = fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(values, (list) => {
        const total = list.reduce((a, b) => a + b, 0);
        const tiles = list.map((value) => ({ label: '', detail: '', value, group: 0 }));
        const placed = squarify(tiles);
        expect(placed).toHaveLength(list.length);
        for (const { x, y, width, height, value } of placed) {
          expect((width * height) / 1e4).toBeCloseTo(value / total, 8);
          expect(Math.min(x, y)).toBeGreaterThanOrEqual(-1e-6);
          expect(Math.max(x + width, y + height)).toBeLessThanOrEqual(100 + 1e-6);
        }
        for (const [at, a] of placed.entries()) {
          for (const b of placed.slice(at + 1)) {
            const overlapX = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
            const overlapY = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
            expect(Math.min(overlapX, overlapY)).toBeLessThan(1e-6);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('leaves out what has no bytes', () => {
    expect(squarify([{ label: 'a', detail: '', value: 0, group: 0 }])).toEqual([]);
  });
});

describe('histogramChart', () => {
  const bins = { low: -1, high: 1, counts: [0, 4, 16, 4] };
  const grid = { type: 'int8', stepRange: [0.1, 0.1] as [number, number], low: -1, high: 1 };

  it('draws a tick per step while they can be told apart, else a band', () => {
    const ticks = histogramChart(bins, null, { ...grid, step: 0.1, scales: 1 }, '').toString();
    expect(ticks.match(/M[\d.]+ 63v8/g)).toHaveLength(21);
    for (const more of [
      { step: 0.001, scales: 1 },
      { step: 0.1, scales: 16 },
    ]) {
      expect(histogramChart(bins, null, { ...grid, ...more }, '').toString()).toContain(
        'class="grid"',
      );
    }
  });

  it('draws heights as square roots', () => {
    // The largest count takes all 60, a quarter of it half of them.
    const path = histogramChart(bins, null, null, '').toString();
    expect(path).toContain('M0 60V60H60V30H120V0H180V30H240V60');
  });
});

describe('lineChart', () => {
  const axis = { label: '', format: String };

  it('maps the ends of the axes to the ends of the picture', () => {
    const series = [
      {
        name: 'a',
        points: [
          [0, 1],
          [5, 3],
          [10, 2],
        ] as const,
      },
    ];
    const chart = lineChart({ series, x: axis, y: axis, summary: 's' }).toString();
    expect(chart).toContain('d="M0 220L300 0L600 110"');
    // One line needs no key.
    expect(chart).not.toContain('figcaption');
  });

  it('tells several lines apart by more than colour', () => {
    const series = ['a', 'b'].map((name) => ({
      name,
      points: [
        [0, 0],
        [1, 1],
      ] as const,
    }));
    const chart = lineChart({ series, x: axis, y: axis, summary: 's' }).toString();
    expect(chart).toContain('line-0');
    expect(chart.match(/class="key"/g)).toHaveLength(2);
  });
});
