/**
 * Areas that stand for bytes. Layout: squarified treemap. Source: M. Bruls, K. Huizing, J. van
 * Wijk, "Squarified Treemaps", Data Visualization 2000. Places are in percent, so that the chart
 * takes any width and its text keeps its size.
 */
import { type Html, html } from '../markup.js';

export interface Tile {
  readonly label: string;
  /** Second line, such as the size. */
  readonly detail: string;
  readonly value: number;
  /** Which pattern fills it; one of the classes tile-0, tile-1 ... of the style sheet. */
  readonly group: number;
}

export interface Placed extends Tile {
  /** In percent of the whole. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Shape that the layout is made for, width by height; it may be stretched. */
const aspect = 2.4;

/** Largest first; tiles without a value are left out. */
export function squarify(tiles: readonly Tile[]): Placed[] {
  const rest = tiles.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);
  const total = rest.reduce((sum, { value }) => sum + value, 0);
  const placed: Placed[] = [];
  let [x, y, width, height] = [0, 0, aspect, 1];
  const scale = aspect / total;
  while (rest.length > 0) {
    const isWide = width >= height;
    const side = isWide ? height : width;
    const row: Tile[] = [];
    while (rest.length > 0) {
      const longer = [...row, rest[0]!];
      if (row.length > 0 && worst(longer, side, scale) > worst(row, side, scale)) break;
      row.push(rest.shift()!);
    }
    const area = row.reduce((sum, { value }) => sum + value * scale, 0);
    const depth = area / side;
    let along = 0;
    for (const tile of row) {
      const length = (tile.value * scale) / depth;
      const [w, h] = isWide ? [depth, length] : [length, depth];
      const [left, top] = isWide ? [x, y + along] : [x + along, y];
      placed.push({
        ...tile,
        x: (100 * left) / aspect,
        y: 100 * top,
        width: (100 * w) / aspect,
        height: 100 * h,
      });
      along += length;
    }
    if (isWide) [x, width] = [x + depth, width - depth];
    else [y, height] = [y + depth, height - depth];
  }
  return placed;
}

/** The largest ratio of sides in a row laid along a side of this length. */
function worst(row: readonly Tile[], side: number, scale: number): number {
  const areas = row.map(({ value }) => value * scale);
  const sum = areas.reduce((a, b) => a + b, 0);
  const depth = sum / side;
  return areas.reduce((most, area) => {
    const length = area / depth;
    return Math.max(most, length / depth, depth / length);
  }, 0);
}

/** A label needs about this much room, in percent of a wide page; and on a phone this width. */
const labelled = { width: 11, height: 9 };
const onPhone = 24;

/**
 * @param share of the full height, for a map beside a larger one
 * @param summary what the picture shows, for who does not see it
 */
export function treemap(tiles: readonly Tile[], share: number, summary: string): Html {
  const percent = (value: number) => Math.round(value * 100) / 100;
  return html`<svg class="treemap" role="img" aria-label="${summary}" style="--share: ${percent(share)}">${squarify(
    tiles,
  ).map(
    (tile) =>
      html`<svg x="${percent(tile.x)}%" y="${percent(tile.y)}%" width="${percent(tile.width)}%" height="${percent(tile.height)}%"><title>${tile.label}: ${tile.detail}</title><rect class="tile tile-${tile.group}" width="100%" height="100%"></rect>${labels(tile, share)}</svg>`,
  )}</svg>`;
}

function labels({ label, detail, width, height }: Placed, share: number): Html | undefined {
  const lines = Math.floor((height * share) / labelled.height);
  if (width < labelled.width || lines < 1) return undefined;
  const roomy = width < onPhone ? ' roomy' : '';
  return html`<text class="name${roomy}" x="7" y="17">${label}</text>${lines > 1 && html`<text class="soft${roomy}" x="7" y="33">${detail}</text>`}`;
}
