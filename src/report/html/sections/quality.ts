/** Scores, and the classes that are taken for others. */
import type { Confusion, EvaluationRow } from '../../data/quality.js';
import { bar } from '../charts/bar.js';
import { Located } from '../located.js';
import { type Html, html } from '../markup.js';
import { defineSection } from '../section.js';
import { show, showAgreement, showInterval } from '../show.js';
import { table } from '../table.js';

export const qualitySection = defineSection({
  id: 'quality',
  title: 'Quality',
  part: (report) => report.maybe('evaluations'),
  render: (evaluations) => {
    const rows = evaluations.items();
    const has = (key: 'top1' | 'top5' | 'nextToken' | 'perplexity') =>
      evaluations.value.some((row) => row[key] !== null);
    const scores = (['top1', 'nextToken'] as const).filter(has);
    const headers = { top1: 'top-1', nextToken: 'next token' };
    return html`<p class="lead">Drop counts the samples that only one of both models gets right, so it is known far better than the difference of two scores. Flips need no labels: predictions that are not those of the first model.</p>${table(
      {
        caption: 'Scores',
        columns: [
          { header: 'model' },
          { header: 'samples', right: true },
          ...scores.flatMap((key) => [
            { header: headers[key], right: true },
            { header: '', chart: true },
          ]),
          ...(has('top5') ? [{ header: 'top-5', right: true }] : []),
          ...(has('perplexity') ? [{ header: 'perplexity', right: true }] : []),
          { header: 'drop', right: true },
          { header: 'flips', right: true },
          { header: 'SNR', right: true },
        ],
        rows: rows.map((row) => [
          row.value.model,
          show(row.get('samples'), 'integer'),
          ...scores.flatMap((key) => [withInterval(row, key), bar(row.value[key]?.share ?? 0)]),
          ...(has('top5') ? [withInterval(row, 'top5')] : []),
          ...(has('perplexity') ? [show(row.get('perplexity'), 'perplexity')] : []),
          drop(row),
          row.value.flips ? withInterval(row, 'flips') : '',
          row.value.agreement ? showAgreement(row.maybe('agreement')) : '',
        ]),
      },
    )}`;
  },
});

function withInterval(
  row: Located<EvaluationRow>,
  key: 'top1' | 'top5' | 'nextToken' | 'flips',
): Html {
  const rate = row.maybe(key);
  if (!rate) return html``;
  return html`${show(rate.get('share'), 'shareFine')} <span class="interval">${showInterval(rate.get('interval'), 'share')}</span>`;
}

function drop(row: Located<EvaluationRow>): Html {
  const found = row.maybe('drop');
  if (!found) return html``;
  return html`${show(found.get('points'), 'points')} <span class="interval">${found.value.interval && html`${showInterval(found.get('interval'), 'points')}; `}${show(found.get('lost'), 'integer')} lost, ${show(found.get('gained'), 'integer')} gained</span>`;
}

export const confusionSection = defineSection({
  id: 'confusion',
  title: 'Confusion',
  part: (report) => report.maybe('confusion'),
  render: (confusion) =>
    html`<p class="lead">Rows are the labels, columns what was predicted; the diagonal is right.</p><div class="columns">${confusion
      .get('models')
      .items()
      .map(
        (model) => matrix(model, confusion.value.classes) ?? pairs(model, confusion.value.classes),
      )}</div>`,
});

type ModelConfusion = Located<Confusion['models'][number]>;

function matrix(model: ModelConfusion, classes: readonly string[]): Html | undefined {
  const counts = model.maybe('counts');
  if (!counts) return undefined;
  const rows = counts.items();
  const caption = `Confusion of ${model.value.model}`;
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table class="matrix"><caption><span>${caption}</span></caption><thead><tr><td></td>${classes.map((name) => html`<th scope="col"><span>${name}</span></th>`)}</tr></thead><tbody>${rows.map(
    (row, label) => {
      const most = row.value.reduce((a, b) => a + b, 0);
      return html`<tr><th scope="row">${classes[label]}</th>${row.items().map((cell, predicted) => {
        const level = most === 0 ? 0 : Math.ceil((4 * cell.value) / most);
        return html`<td class="level-${level}${label === predicted ? ' right-answer' : ''}">${cell.value > 0 && show(new Located<number | null>(cell.value, cell.at), 'integer')}</td>`;
      })}</tr>`;
    },
  )}</tbody></table></div>`;
}

function pairs(model: ModelConfusion, classes: readonly string[]): Html {
  return table({
    caption: `What ${model.value.model} confuses most`,
    columns: [{ header: 'label' }, { header: 'predicted' }, { header: 'samples', right: true }],
    rows: model
      .get('pairs')
      .items()
      .map((pair) => [
        classes[pair.value.label],
        classes[pair.value.predicted],
        show(pair.get('count'), 'integer'),
      ]),
  });
}
