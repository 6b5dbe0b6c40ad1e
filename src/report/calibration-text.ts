/**
 * A calibration table as text: one row per value, with its distribution as a small picture.
 */
import type { ChosenRange } from '../quantize/calibrate/chosen-ranges.js';
import type { Histogram } from '../quantize/calibrate/statistics.js';
import type { CalibrationTable } from '../quantize/calibrate/table.js';
import { sparkline } from './bars.js';
import { type TableOptions, table } from './table.js';

/** Characters of a distribution. */
const barWidth = 16;

export function calibrationText(
  { values, calibrator, model, pare }: CalibrationTable,
  rows: readonly ChosenRange[],
  options: TableOptions,
): string {
  const number = (value: number) => String(Number(value.toPrecision(4)));
  const unicode = options.style?.unicode ?? true;
  const cells = rows.map(({ name, dims, min, max, pinned, range, scale, zeroPoint, clipped }) => [
    name,
    dims ? `[${dims.map((dim) => dim ?? '?').join(',')}]` : '',
    number(min),
    number(max),
    `${number(range.min)} to ${number(range.max)}${pinned ? ' pinned' : ''}`,
    number(scale),
    String(zeroPoint),
    clipped === null ? '' : `${Number((100 * clipped).toPrecision(2))} %`,
    picture(values.get(name)!.histogram, unicode),
  ]);
  const right = (header: string) => ({ header, align: 'right' as const });
  return table(
    [
      { header: 'value' },
      { header: 'shape', flexible: false },
      ...[right('min'), right('max'), right('range'), right('scale'), right('zero')],
      ...[right('clipped'), { header: 'from min to max', flexible: false }],
    ],
    cells,
    {
      ...options,
      notes: [
        `${values.size} values, made with ${calibrator} by pare ${pare}, model ${model.slice(0, 12)}`,
      ],
    },
  );
}

/** Counts on a logarithmic scale, since most elements of an activation are near zero. */
function picture(histogram: Histogram | undefined, unicode: boolean): string {
  if (!histogram) return '';
  const { counts } = histogram;
  const per = counts.length / barWidth;
  const sums = Array.from({ length: barWidth }, (_, at) =>
    counts.subarray(at * per, (at + 1) * per).reduce((sum, count) => sum + count, 0),
  );
  return sparkline(
    sums.map((sum) => Math.log1p(sum)),
    { min: 0, unicode },
  );
}
