/**
 * Counts in bins, on the square root of the counts, since most weights and activations are near
 * zero: before as a line, after filled, and below it the grid of integers that numbers are rounded
 * to, as ticks (or a band where the ticks would run together).
 */
import type { Histogram } from '../../data/common.js';
import type { Grid } from '../../data/layers.js';
import { type Html, html } from '../markup.js';

/** Units of the picture, which is stretched to the place that it gets. */
const size = { width: 240, height: 60, ticks: 8 };
const mostTicks = 80;

export function histogramChart(
  before: Histogram,
  after: Histogram | null,
  grid: Grid | null,
  summary: string,
): Html {
  const most = [before, after]
    .flatMap((each) => each?.counts ?? [])
    .reduce((a, b) => Math.max(a, b), 0);
  const height = (count: number) => (most > 0 ? Math.sqrt(count / most) * size.height : 0);
  return html`<svg class="histogram" role="img" aria-label="${summary}" viewBox="0 0 ${size.width} ${size.height + size.ticks + 3}" preserveAspectRatio="none">${
    after && html`<path class="after" d="${steps(after, before, height)}Z"></path>`
  }<path class="${after ? 'before' : 'after'}" d="${steps(before, before, height)}${!after && 'Z'}"></path><path class="axis" d="M0 ${size.height}H${size.width}"></path>${
    grid && gridMarks(grid, before)
  }</svg>`;
}

function steps(
  { low, high, counts }: Histogram,
  frame: Histogram,
  height: (count: number) => number,
): string {
  const x = place(frame);
  const width = (high - low) / counts.length;
  let path = `M${x(low)} ${size.height}`;
  for (const [at, count] of counts.entries()) {
    path += `V${round(size.height - height(count))}H${x(low + (at + 1) * width)}`;
  }
  return `${path}V${size.height}`;
}

function gridMarks(grid: Grid, frame: Histogram): Html {
  const x = place(frame);
  const top = size.height + 3;
  const [low, high] = [Math.max(grid.low, frame.low), Math.min(grid.high, frame.high)];
  const band = html`<path class="grid" d="M${x(low)} ${top}H${x(high)}V${top + size.ticks}H${x(low)}Z"></path>`;
  const count = (high - low) / grid.step;
  if (grid.scales > 1 || !(count <= mostTicks)) return band;
  const first = Math.ceil(low / grid.step);
  const ticks = Array.from(
    { length: Math.max(0, Math.floor(high / grid.step) - first + 1) },
    (_, at) => `M${x((first + at) * grid.step)} ${top}v${size.ticks}`,
  );
  return html`<path class="ticks" d="${ticks.join('')}"></path>`;
}

function place({ low, high }: Histogram): (value: number) => number {
  return (value) => round(high > low ? ((value - low) / (high - low)) * size.width : 0);
}

const round = (value: number) => Math.round(value * 10) / 10;
