/**
 * Lines over a common axis. The picture is stretched to the page; its labels are text of the page
 * around it, so that they keep their size on a phone. Lines differ in dash, not only in colour.
 */
import { type Content, type Html, html } from '../markup.js';

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Bounds around it, from left to right. */
  readonly band?: readonly (readonly [x: number, low: number, high: number])[] | undefined;
}

export interface LineChart {
  readonly series: readonly Series[];
  readonly x: Axis;
  readonly y: Axis;
  /** What the picture shows, for who does not see it. */
  readonly summary: string;
}

export interface Axis {
  readonly label: string;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** The two ends, as they read. */
  readonly format: (value: number) => Content;
}

const box = { width: 600, height: 220 };

export function lineChart({ series, x, y, summary }: LineChart): Html {
  const xs = series.flatMap(({ points }) => points.map(([value]) => value));
  const ys = series.flatMap(({ points, band }) => [
    ...points.map(([, value]) => value),
    ...(band ?? []).flatMap(([, low, high]) => [low, high]),
  ]);
  const [left, right] = ends(xs, x);
  const [bottom, top] = ends(ys, y);
  const px = (value: number) =>
    round(right > left ? ((value - left) / (right - left)) * box.width : 0);
  const py = (value: number) =>
    round(
      top > bottom ? box.height - ((value - bottom) / (top - bottom)) * box.height : box.height / 2,
    );
  const path = (points: readonly (readonly [number, number])[]) =>
    points.map(([a, b], at) => `${at === 0 ? 'M' : 'L'}${px(a)} ${py(b)}`).join('');
  return html`<figure class="lines"><div class="y"><span>${y.format(top)}</span><span class="axis-name">${y.label}</span><span>${y.format(bottom)}</span></div><svg role="img" aria-label="${summary}" viewBox="0 0 ${box.width} ${box.height}" preserveAspectRatio="none"><path class="frame" d="M0 0V${box.height}H${box.width}"></path>${series.map(
    ({ points, band }, at) =>
      html`${band && band.length > 1 && html`<path class="band line-${at}" d="${path(band.map(([a, low]) => [a, low]))}${path([...band].reverse().map(([a, , high]) => [a, high] as const)).replace('M', 'L')}Z"></path>`}<path class="line line-${at}" d="${path(points)}"></path>`,
  )}</svg><div class="x"><span>${x.format(left)}</span><span class="axis-name">${x.label}</span><span>${x.format(right)}</span></div>${
    series.length > 1 &&
    html`<figcaption>${series.map(({ name }, at) => html`<span class="key"><svg aria-hidden="true" viewBox="0 0 28 8"><path class="line line-${at}" d="M0 4H28"></path></svg>${name}</span>`)}</figcaption>`
  }</figure>`;
}

function ends(values: readonly number[], { min, max }: Axis): [number, number] {
  const least = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return [min ?? least, max ?? most];
}

const round = (value: number) => Math.round(value * 10) / 10;
