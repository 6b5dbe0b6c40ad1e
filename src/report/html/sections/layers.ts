/** Where the numbers of both models part, and what each node costs by itself. */

import { formatDb, formatInteger } from '../../format.js';
import { bar, barPair } from '../charts/bar.js';
import { lineChart } from '../charts/line.js';
import { html } from '../markup.js';
import { shortName } from '../names.js';
import { defineSection } from '../section.js';
import { show, showAgreement } from '../show.js';
import { table } from '../table.js';

/** The SNR at which a bar is full: float32 against itself in another order. */
const fullDb = 60;

export const layersSection = defineSection({
  id: 'layers',
  title: 'Where the models part',
  part: (report) => report.maybe('layers'),
  render: (layers) => {
    const { inputs, firstDifferent, largestFall, rows, unpaired } = layers.value;
    const finite = rows.flatMap(({ agreement }, at) =>
      agreement.snrDb === null ? [] : [[at, agreement.snrDb] as const],
    );
    const fall = layers.maybe('largestFall');
    return html`<p class="lead">Signal to noise of every value that both models compute, on ${show(layers.get('samples'), 'integer')} ${inputs === 'data' ? 'samples' : 'random inputs'}, from the input to the output. Noise adds up on the way; a sudden fall names the layer that hurts. ${
      firstDifferent !== null &&
      html`The first value that differs is <code>${shortName(firstDifferent)}</code>.`
    } ${largestFall !== null && fall && html`The largest fall, ${show(fall.get('fallDb'), 'dB')}, is at <code>${shortName(largestFall.value)}</code>.`} ${
      unpaired > 0 &&
      html`${show(layers.get('unpaired'), 'integer')} values of the first model have no partner: they were fused away or have another shape.`
    }</p>${
      finite.length > 1 &&
      lineChart({
        series: [{ name: 'SNR', points: finite }],
        x: {
          label: 'layers in order of execution',
          min: 0,
          max: rows.length - 1,
          format: (at) => formatInteger(at + 1),
        },
        y: { label: 'SNR', min: Math.min(0, ...finite.map(([, db]) => db)), format: formatDb },
        summary: `SNR from the first to the last of ${rows.length} layers, between ${formatDb(Math.min(...finite.map(([, db]) => db)))} and ${formatDb(Math.max(...finite.map(([, db]) => db)))}`,
      })
    }${table({
      caption: 'Agreement by value',
      columns: [
        { header: 'value', name: true },
        { header: 'operator' },
        { header: 'SNR', right: true },
        { header: '', chart: true },
        { header: 'largest error', right: true },
      ],
      rows: layers
        .get('rows')
        .items()
        .map((row) => {
          const { value, op, agreement } = row.value;
          return [
            shortName(value),
            op,
            showAgreement(row.get('agreement')),
            bar(agreement.exact ? 1 : (agreement.snrDb ?? 0) / fullDb),
            show(row.get('maxAbsError'), 'exponent'),
          ];
        }),
    })}`;
  },
});

export const sensitivitySection = defineSection({
  id: 'sensitivity',
  title: 'What each node costs',
  part: (report) => report.maybe('sensitivity'),
  render: (sensitivity) => {
    const { tradeOff } = sensitivity.value;
    const sizes = tradeOff.flatMap(({ kept, snrDb }) =>
      snrDb === null ? [] : [[kept, snrDb] as const],
    );
    return html`<p class="lead">The SNR of the outputs when one node alone is quantized, and when all others are, on ${show(sensitivity.get('samples').get('nodes'), 'integer')} samples; the node that hurts most comes first.</p>${table(
      {
        caption: 'Damage of single nodes',
        columns: [
          { header: 'node', name: true },
          { header: 'operator' },
          { header: 'alone', right: true },
          { header: '', chart: true },
          { header: 'all others', right: true },
        ],
        rows: sensitivity
          .get('nodes')
          .items()
          .map((row) => [
            row.value.node,
            row.value.op,
            show(row.get('aloneSnr'), 'dB'),
            bar((row.value.aloneSnr ?? 0) / fullDb),
            show(row.get('othersSnr'), 'dB'),
          ]),
      },
    )}${
      sizes.length > 1 &&
      html`<h3>What leaving nodes out buys</h3>${lineChart({
        series: [{ name: 'SNR', points: sizes }],
        x: { label: 'nodes left out, the worst first', format: formatInteger },
        y: { label: 'SNR', format: formatDb },
        summary: 'SNR of the outputs by the number of nodes left out',
      })}`
    }${table({
      caption: 'Trade-off',
      columns: [
        { header: 'left out' },
        { header: 'size', right: true },
        { header: 'SNR', right: true },
        { header: 'drop', right: true },
        { header: 'flips', right: true },
      ],
      rows: sensitivity
        .get('tradeOff')
        .items()
        .map((row) => [
          show(row.get('kept'), 'integer'),
          show(row.get('bytes'), 'bytes'),
          show(row.get('snrDb'), 'dB'),
          show(row.get('dropPoints'), 'points'),
          show(row.get('flips'), 'shareFine'),
        ]),
    })}`;
  },
});

export const widthsSection = defineSection({
  id: 'widths',
  title: 'Widths',
  part: (report) => report.maybe('widths'),
  render: (widths) => {
    const most = Math.max(...widths.value.rows.map(({ before }) => before), 1);
    return html`<p class="lead">Channels, neurons and heads that belong together and left together. ${
      widths.value.proofError === null
        ? 'The cut was not proved.'
        : html`The cut is proved: the model with them set to zero and the model without them agree to ${show(widths.get('proofError'), 'exponent')}.`
    } MACs ${show(widths.get('macsBefore'), 'count')} to ${show(widths.get('macsAfter'), 'count')}, parameters ${show(widths.get('parametersBefore'), 'count')} to ${show(widths.get('parametersAfter'), 'count')}.</p>${table(
      {
        caption: 'Widths before and after',
        columns: [
          { header: 'family', name: true },
          { header: 'units' },
          { header: 'before', right: true },
          { header: 'after', right: true },
          { header: '', chart: true },
          { header: 'nodes', right: true },
          { header: 'left because', prose: true },
        ],
        rows: widths
          .get('rows')
          .items()
          .map((row) => {
            const { family, kind, before, after, left } = row.value;
            return [
              family,
              kind,
              show(row.get('before'), 'integer'),
              show(row.get('after'), 'integer'),
              barPair(before, after, most),
              show(row.get('nodes'), 'integer'),
              left ?? '',
            ];
          }),
      },
    )}`;
  },
});
