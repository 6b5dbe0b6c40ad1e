/**
 * The scores of all units of a layer as a row of thin bars, in the order of the units, on the scale
 * of the layer. Negative scores hang below the line.
 */
import { type Html, html } from '../markup.js';

const size = { width: 600, height: 40 };

export function unitBars(scores: readonly number[], summary: string): Html {
  const low = Math.min(0, ...scores);
  const high = Math.max(0, ...scores);
  const y = (value: number) =>
    high > low ? round(size.height - ((value - low) / (high - low)) * size.height) : size.height;
  const width = size.width / scores.length;
  const gap = scores.length > 150 ? 0 : Math.min(1.5, width / 4);
  const bars = scores.map(
    (score, at) => `M${round(at * width)} ${y(0)}V${y(score)}h${round(width - gap)}V${y(0)}Z`,
  );
  return html`<svg class="units" role="img" aria-label="${summary}" viewBox="0 0 ${size.width} ${size.height}" preserveAspectRatio="none"><path class="unit-bars" d="${bars.join('')}"></path><path class="axis" d="M0 ${y(0)}H${size.width}"></path></svg>`;
}

const round = (value: number) => Math.round(value * 100) / 100;
