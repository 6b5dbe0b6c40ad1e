/**
 * Numbers on the page. Each stands in a `data` element that carries the number itself, its place in
 * the report's data and the format that made the text, so that a test (and a reader) can hold
 * every figure of the page against the document.
 */
import type { Agreement } from '../data/common.js';
import {
  formatBytes,
  formatCount,
  formatDb,
  formatInteger,
  formatMs,
  formatPercent,
  formatPoints,
  formatRatio,
  formatSigned,
} from '../format.js';
import { Located } from './located.js';
import { type Html, html } from './markup.js';

/** How numbers read, by the name that `data-format` has. */
export const formats = Object.freeze({
  bytes: formatBytes,
  count: formatCount,
  integer: formatInteger,
  ms: formatMs,
  share: (value: number) => formatPercent(value, 1),
  shareFine: (value: number) => formatPercent(value, 2),
  points: formatPoints,
  percent: (value: number) => `${value.toFixed(1)} %`,
  times: formatRatio,
  dB: formatDb,
  perplexity: (value: number) => value.toFixed(3),
  plain: (value: number) => String(Number(value.toPrecision(4))),
  exponent: (value: number) => (value === 0 ? '0' : value.toExponential(2)),
  seconds: (value: number) => `${value.toFixed(1)} s`,
  fixed: (value: number) => value.toFixed(4),
  two: (value: number) => value.toFixed(2),
  signed: (value: number) => formatSigned(value, (size) => size.toFixed(4)),
  signedShare: (value: number) => formatSigned(100 * value, formatPoints),
});

export type Format = keyof typeof formats;

/** What stands for a number that was not measured. */
export const missing = html`<span class="none" title="not measured">–</span>`;

/** @example show(row.get('bytes'), 'bytes') // <data value="1234567" ...>1.23 MB</data> */
export function show(number: Located<number | null> | undefined, format: Format): Html {
  if (!number || number.value === null) return missing;
  const { value, at } = number;
  return html`<data value="${value}" data-at="${at}" data-format="${format}">${formats[format](value)}</data>`;
}

/** A number of pare's own counting that the document does not hold, such as the rows of a list. */
export function plainCount(value: number): string {
  return formatInteger(value);
}

/** '0.78 to 0.82 ms': the unit once, where both have the same. */
export function showInterval(
  interval: Located<readonly [number, number] | null>,
  format: Format,
): Html | undefined {
  if (interval.value === null) return undefined;
  const [low, high] = interval.value;
  const [first, last] = [low, high].map((value) => formats[format](value)) as [string, string];
  const isBare = unitOf(first) === unitOf(last);
  const shown = isBare ? withoutUnit(first) : first;
  return html`<data value="${low}" data-at="${interval.at}/0" data-format="${format}"${isBare && html` data-bare`}>${shown}</data> to ${show(new Located<number | null>(high, `${interval.at}/1`), format)}`;
}

/** The text of a number without what follows its digits. */
export function withoutUnit(text: string): string {
  return text.slice(0, text.length - unitOf(text).length);
}

function unitOf(text: string): string {
  return /\D*$/.exec(text)![0];
}

export function showAgreement(agreement: Located<Agreement> | undefined): Html {
  if (!agreement) return missing;
  if (agreement.value.exact) return html`equal`;
  return show(agreement.get('snrDb'), 'dB');
}
