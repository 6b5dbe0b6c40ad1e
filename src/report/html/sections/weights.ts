/** Weights and activations: how they are spread, what they are rounded to, how sparse they are. */
import type { Grid, LayerWeights } from '../../data/layers.js';
import { barPair } from '../charts/bar.js';
import { histogramChart } from '../charts/histogram.js';
import type { Located } from '../located.js';
import { type Html, html } from '../markup.js';
import { defineSection } from '../section.js';
import { show, showAgreement } from '../show.js';
import { table } from '../table.js';

/** Small pictures that are shown at once; the rest folds away. */
const mostShown = 12;

export const weightsSection = defineSection({
  id: 'weights',
  title: 'Weights',
  part: (report) => report.maybe('weights'),
  render: (weights) => {
    const rows = weights.items();
    const drawn = rows.filter(({ value }) => value.histogram);
    const compared = weights.value.some(({ dimsAfter }) => dimsAfter);
    return html`<p class="lead">The distribution of each weight${compared && ': the line is before, the filled area after'}. Heights are square roots of counts. Ticks or a band below are the integers that it was rounded to.</p>${gallery(drawn.map(picture))}${weightTable(rows, compared)}`;
  },
});

function picture(row: Located<LayerWeights>): Html {
  const { layer, histogram, histogramAfter, grid } = row.value;
  const bins = row.maybe('histogram')!;
  return html`<figure class="small"><figcaption title="${layer}">${layer}</figcaption>${histogramChart(histogram!, histogramAfter, grid, `Distribution of the weight of ${layer}`)}<p class="ends"><span>${show(bins.get('low'), 'plain')}</span><span>${gridText(row.maybe('grid'))}</span><span>${show(bins.get('high'), 'plain')}</span></p></figure>`;
}

function gridText(grid: Located<Grid> | undefined): Html | undefined {
  if (!grid) return undefined;
  const { type, scales } = grid.value;
  return html`${type}, step ${show(grid.get('step'), 'exponent')}${scales > 1 && html` (median of ${show(grid.get('scales'), 'integer')})`}`;
}

function gallery(pictures: readonly Html[]): Html {
  const rest = pictures.slice(mostShown);
  return html`<div class="gallery">${pictures.slice(0, mostShown)}</div>${
    rest.length > 0 &&
    html`<details><summary>${rest.length} more</summary><div class="gallery">${rest}</div></details>`
  }`;
}

function weightTable(rows: readonly Located<LayerWeights>[], compared: boolean): Html {
  const after = <T>(content: T) => (compared ? [content] : []);
  return table({
    caption: 'Weights by layer',
    columns: [
      { header: 'layer', name: true },
      { header: 'operator' },
      { header: 'shape' },
      { header: 'bytes', right: true },
      ...after({ header: 'after', right: true }),
      { header: 'zeros', right: true },
      ...after({ header: 'after', right: true }),
      { header: '', chart: true },
      ...after({ header: 'SNR', right: true }),
    ],
    rows: rows.map((row) => {
      const { layer, op, dims, dimsAfter, type, typeAfter, zeros, zerosAfter } = row.value;
      return [
        layer,
        op,
        `${change(type, typeAfter)} ${change(`[${dims.join(',')}]`, dimsAfter && `[${dimsAfter.join(',')}]`)}`,
        show(row.get('bytes'), 'bytes'),
        ...after(show(row.get('bytesAfter'), 'bytes')),
        show(row.get('zeros'), 'share'),
        ...after(show(row.get('zerosAfter'), 'share')),
        barPair(compared ? zeros : null, compared ? zerosAfter : zeros, 1),
        ...after(row.value.agreement ? showAgreement(row.maybe('agreement')) : ''),
      ];
    }),
  });
}

function change(before: string, after: string | null): string {
  return after === null || after === before ? before : `${before} → ${after}`;
}

export const activationsSection = defineSection({
  id: 'activations',
  title: 'Activations',
  part: (report) => report.maybe('activations'),
  render: (activations) => {
    const rows = activations.items();
    return html`<p class="lead">What flows between layers of the float model on ${show(rows[0]?.get('samples'), 'integer')} samples, and the integers that the quantized model rounds it to. Values beyond the ends of the grid are clipped.</p>${gallery(
      rows.map((row) => {
        const { value, histogram, grid } = row.value;
        return html`<figure class="small"><figcaption title="${value}">${value}</figcaption>${histogramChart(histogram, null, grid, `Distribution of ${value}`)}<p class="ends"><span>${show(row.get('min'), 'plain')}</span><span>${gridText(row.maybe('grid'))}</span><span>${show(row.get('max'), 'plain')}</span></p><p class="ends"><span>${show(row.get('zeros'), 'share')} zeros</span><span>${show(row.get('clipped'), 'share')} clipped</span></p></figure>`;
      }),
    )}`;
  },
});
