/** What was done, step by step, and what else was tried. */
import { html } from '../markup.js';
import { defineSection } from '../section.js';
import { show, showAgreement, showInterval } from '../show.js';
import { table } from '../table.js';

export const recipeSection = defineSection({
  id: 'recipe',
  title: 'Recipe',
  part: (report) => report.maybe('recipe'),
  render: (recipe) =>
    html`<p class="lead">These steps on the same model give the same bytes.</p><ol class="steps">${recipe
      .items()
      .map((step) => {
        const { pass, options, notes } = step.value;
        const given = Object.entries(options);
        return html`<li><b>${pass}</b>${step.value.changed !== null && html` <span class="soft">${show(step.get('changed'), 'integer')} changed, ${show(step.get('left'), 'integer')} left alone</span>`}${
          given.length > 0 &&
          html`<code class="options">${given.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(', ')}</code>`
        }${notes.length > 0 && html`<ul class="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>`}</li>`;
      })}</ol>`,
});

export const candidatesSection = defineSection({
  id: 'candidates',
  title: 'What was tried',
  part: (report) => report.maybe('candidates'),
  render: (candidates) => {
    const marks = { original: '', chosen: '✓ ', kept: '', rejected: '' };
    return html`<p class="lead">Every candidate was made and measured on the same samples. The chosen one is marked; the others say why not.</p>${table(
      {
        caption: 'Candidates',
        columns: [
          { header: 'candidate' },
          { header: 'size', right: true },
          { header: 'latency', right: true },
          { header: 'speed', right: true },
          { header: 'score', right: true },
          { header: 'drop', right: true },
          { header: 'flips', right: true },
          { header: 'SNR', right: true },
          { header: 'verdict', prose: true },
        ],
        rows: candidates.items().map((row) => {
          const { name, verdict, reasons, why } = row.value;
          return [
            html`${marks[verdict]}${verdict === 'chosen' ? html`<b>${name}</b>` : name}`,
            show(row.get('bytes'), 'bytes'),
            show(row.get('medianMs'), 'ms'),
            html`${show(row.get('speedUp'), 'times')}${row.value.speedUpInterval && html` <span class="interval">${showInterval(row.get('speedUpInterval'), 'times')}</span>`}`,
            show(row.maybe('score')?.get('share'), 'shareFine'),
            show(row.get('dropPoints'), 'points'),
            show(row.maybe('flips')?.get('share'), 'shareFine'),
            showAgreement(row.maybe('agreement')),
            html`${verdict === 'original' ? '' : `${verdict}: ${reasons.length > 0 ? reasons.join('; ') : why}`}`,
          ];
        }),
        visible: 20,
      },
    )}`;
  },
});
