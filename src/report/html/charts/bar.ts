/**
 * A bar in a cell of a table: the number stands beside it, so the bar is for the eye only. Before
 * is an outline, after is filled, which reads without colour.
 */
import { type Html, html } from '../markup.js';

export type Side = 'before' | 'after';

/** @param share of the full length, 0 to 1 */
export function bar(share: number, side: Side = 'after'): Html {
  const width = Number.isFinite(share)
    ? Math.round(1000 * Math.min(1, Math.max(0, share))) / 10
    : 0;
  return html`<svg class="bar ${side}" aria-hidden="true"><rect width="${width}%" height="100%"></rect></svg>`;
}

/** Two bars over each other, on one scale. */
export function barPair(before: number | null, after: number | null, most: number): Html {
  const share = (value: number | null) => (value === null || most <= 0 ? 0 : value / most);
  return html`<span class="bars">${before !== null && bar(share(before), 'before')}${after !== null && bar(share(after))}</span>`;
}
