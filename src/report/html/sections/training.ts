/** Curves of a training run, or of several with a cut before each. */

import type { Training } from '../../data/training.js';
import { formatInteger } from '../../format.js';
import { lineChart } from '../charts/line.js';
import type { Located } from '../located.js';
import { type Content, html } from '../markup.js';
import { defineSection } from '../section.js';
import { formats, show } from '../show.js';
import { table } from '../table.js';

export const trainingSection = defineSection({
  id: 'training',
  title: 'Training',
  part: (report) => report.maybe('training'),
  render: (training) => {
    const { epochs, scoreName, startScore, bestScore, bestEpoch, losses, frozen } = training.value;
    const loss = epochs.map((row) => [row.epoch, row.loss] as const);
    const rounds = training.value.rounds ?? [{ firstEpoch: 1, startScore }];
    // A round begins where the one before ended, and lower by what its cut lost.
    const score = rounds.flatMap(({ firstEpoch, startScore: start }, at) => [
      ...(start === null ? [] : [[firstEpoch - 1, start] as const]),
      ...epochs
        .slice(firstEpoch - 1, rounds[at + 1] && rounds[at + 1]!.firstEpoch - 1)
        .flatMap((row) => (row.score === null ? [] : [[row.epoch, row.score] as const])),
    ]);
    const x = { label: 'epoch', format: formatInteger };
    return html`<p class="lead">${show(training.get('trained'), 'integer')} tensors learned (${losses.join(', ')}). ${
      bestScore !== null &&
      startScore !== null &&
      html`${scoreName} was ${show(training.get('startScore'), 'fixed')} before and is ${show(training.get('bestScore'), 'fixed')} after epoch ${show(training.get('bestEpoch'), 'integer')}${bestEpoch === 0 && ', the start: no epoch was better'}.`
    }</p><div class="columns">${loss.length > 1 && lineChart({ series: [{ name: 'loss', points: loss }], x, y: { label: 'loss', format: formats.plain }, summary: `Loss over ${epochs.length} epochs` })}${
      score.length > 1 &&
      lineChart({
        series: [{ name: scoreName, points: score }],
        x,
        y: { label: scoreName, format: formats.plain },
        summary: `${scoreName} over ${epochs.length} epochs`,
      })
    }</div>${table({
      caption: 'Epochs',
      columns: ['epoch', 'loss', scoreName, 'last rate', 'time'].map((header, at) => ({
        header,
        right: at > 0,
      })),
      rows: training
        .get('epochs')
        .items()
        .map((row) => [
          show(row.get('epoch'), 'integer'),
          show(row.get('loss'), 'fixed'),
          show(row.get('score'), 'fixed'),
          show(row.get('learningRate'), 'exponent'),
          show(row.get('seconds'), 'seconds'),
        ]),
    })}${roundTable(training)}${
      frozen.length > 0 &&
      html`<details><summary>what did not learn, and why</summary>${table({
        caption: 'Tensors that stayed',
        columns: [
          { header: 'tensor', name: true },
          { header: 'reason', prose: true },
        ],
        rows: frozen.map(({ name, reason }) => [name, reason]),
      })}</details>`
    }`;
  },
});

/** Nothing where there was one run. */
function roundTable(training: Located<Training>): Content {
  const rounds = training.maybe('rounds');
  if (!rounds) return null;
  const { scoreName } = training.value;
  return table({
    caption: 'Rounds',
    columns: [
      { header: 'round', right: true },
      { header: 'first epoch', right: true },
      { header: `${scoreName} before`, right: true },
      { header: 'after', right: true },
      { header: 'what was done before it' },
    ],
    rows: rounds
      .items()
      .map((round, at) => [
        String(at + 1),
        show(round.get('firstEpoch'), 'integer'),
        show(round.get('startScore'), 'fixed'),
        show(round.get('bestScore'), 'fixed'),
        round.value.before.join('; '),
      ]),
  });
}
