/** Which units matter, with the samples that excite them; and how far the scores can be trusted. */
import type { ExemplarData, ExplanationData, UnitData, UnitLayer } from '../../data/explanation.js';
import { bar } from '../charts/bar.js';
import { lineChart } from '../charts/line.js';
import { inContext, previewPicture, sharedPicture, sharedPictures } from '../charts/preview.js';
import { unitBars } from '../charts/units.js';
import { Located } from '../located.js';
import { type Html, html } from '../markup.js';
import { shortName } from '../names.js';
import { defineSection } from '../section.js';
import { formats, show, showInterval } from '../show.js';
import { table } from '../table.js';

/** Layers that are open at once; the others fold. */
const mostOpen = 3;

export const explanationSection = defineSection({
  id: 'neurons',
  title: 'Which neurons matter',
  part: (report) => report.maybe('explanation'),
  render: (explanation) => {
    const { criterion, criteria, labels, curves } = explanation.value;
    const layers = explanation.get('layers').items();
    const summary = criteria.find(({ name }) => name === criterion)?.summary;
    const last = layers.length - mostOpen;
    return html`<p class="lead">One bar per channel, neuron or head, by ${criterion}${summary && `: ${summary}`}.${curves && ' It came out as the most faithful score on this model (see below).'} Seen on ${show(explanation.get('samplesSeen'), 'integer')} samples${labels === 'predicted' && ', whose own predictions stand for labels'}.</p>${sharedPictures(explanation.value.samples.map(({ preview }) => preview))}${layers.map(
      (layer, at) =>
        html`<details class="layer"${at >= last && html` open`}><summary><code>${layer.value.id}</code> <span class="soft">${layer.value.op}, ${layer.value.scores.length} ${layer.value.kind}${layer.value.dead > 0 && html`, ${show(layer.get('dead'), 'integer')} dead`}${(layer.value.twins ?? 0) > 0 && html`, ${show(layer.get('twins'), 'integer')} with a twin`}${layer.value.weight && html` <code class="weight">${shortName(layer.value.weight)}</code>`}</span>${unitBars(
          layer.value.scores,
          `${criterion} of the ${layer.value.scores.length} ${layer.value.kind} of ${layer.value.id}`,
        )}</summary>${units(layer, explanation.value)}</details>`,
    )}${connections(explanation)}${attributions(explanation)}${skipped(explanation.value)}`;
  },
});

function units(layer: Located<UnitLayer>, explanation: ExplanationData): Html {
  return html`<ul class="units-list">${layer
    .get('top')
    .items()
    .map((unit) => {
      const { unit: index, serves, nearest, saturated } = unit.value;
      const worst = unit.maybe('worst');
      return html`<li><p><b>${layer.value.kind.replace(/s$/, '')} ${index}</b> <span class="soft">score ${show(unit.get('score'), 'plain')}</span></p><p class="soft">${
        unit.value.loss !== null &&
        html`without it: loss ${show(unit.get('loss'), 'signed')}, accuracy ${show(unit.get('accuracy'), 'signedShare')}${worst && html`, ${worst.value.class} ${show(worst.get('accuracy'), 'signedShare')}`}. `
      }${serves.length > 0 && `Serves ${serves.join(', ')}. `}${show(unit.get('zeros'), 'share')} zeros${saturated !== null && html`, ${show(unit.get('saturated'), 'share')} saturated`}.${
        nearest !== null &&
        html` Nearest is ${nearest} (correlation ${show(unit.get('correlation'), 'plain')}).`
      }</p>${samples(unit, explanation)}</li>`;
    })}</ul>`;
}

function samples({ value: { most, least } }: Located<UnitData>, explanation: ExplanationData) {
  const list = (exemplars: readonly ExemplarData[], what: string) => {
    if (exemplars.length === 0) return undefined;
    const isText = exemplars.some(({ context }) => context);
    return html`<div class="strip${isText && ' texts'}"><span class="soft">${what}</span>${exemplars.map(
      ({ sample, at, context }) => {
        const { id, label, preview } = explanation.samples[sample]!;
        if (context) return inContext(context);
        return sharedPicture(preview, sample, label === '' ? id : `${label} (${id})`, at);
      },
    )}</div>`;
  };
  return html`${list(most, 'most')}${list(least, 'least')}`;
}

function connections(explanation: Located<ExplanationData>): Html {
  const { blocks, paths } = explanation.value;
  return html`${
    blocks.length > 0 &&
    html`<h3>Connections</h3>${table({
      caption: 'From layer to layer: norm of the weights, and share in what the next layer reads',
      columns: [
        { header: 'from', name: true },
        { header: 'to', name: true },
        { header: 'norm', right: true },
        { header: 'share', right: true },
        { header: '', chart: true },
      ],
      rows: explanation
        .get('blocks')
        .items()
        .map((row) => [
          row.value.from,
          row.value.to,
          show(row.get('norm'), 'plain'),
          show(row.get('share'), 'share'),
          bar(row.value.share),
        ]),
    })}`
  }${
    paths.length > 0 &&
    table({
      caption: 'Strongest paths',
      columns: [{ header: 'path', name: true }, { header: 'to' }, { header: 'share', right: true }],
      rows: explanation
        .get('paths')
        .items()
        .map((row) => [row.value.steps, row.value.output, show(row.get('share'), 'exponent')]),
    })
  }`;
}

function attributions(explanation: Located<ExplanationData>): Html | undefined {
  const { attributions: list, attributionTests } = explanation.value;
  if (list.length === 0) return undefined;
  return html`<h3>What of the input speaks for the class</h3><ul class="flips">${explanation
    .get('attributions')
    .items()
    .map((row) => {
      const { sample, target, method, picture, original } = row.value;
      return html`<li class="two">${previewPicture(original, `sample ${sample}`)}${previewPicture(picture, `${method} of ${sample} for ${target}`)}<div><span class="label">${target}</span><span class="soft">${method}</span>${
        row.value.error !== null &&
        html`<span class="soft">sum off by ${show(row.get('error'), 'signed')} logits</span>`
      }</div></li>`;
    })}</ul>${
    attributionTests.length > 0 &&
    table({
      caption: 'Infidelity and sensitivity of the attributions; less is better',
      columns: [
        { header: 'method' },
        { header: 'infidelity', right: true },
        { header: 'sensitivity', right: true },
        { header: 'samples', right: true },
      ],
      rows: explanation
        .get('attributionTests')
        .items()
        .map((row) => [
          row.value.method,
          show(row.get('infidelity'), 'exponent'),
          show(row.get('sensitivity'), 'plain'),
          show(row.get('samples'), 'integer'),
        ]),
    })
  }`;
}

function skipped({ skipped: list }: ExplanationData): Html | undefined {
  if (list.length === 0) return undefined;
  return html`<details><summary>what is not explained, and why</summary>${table({
    caption: 'Not explained',
    columns: [
      { header: 'what', name: true },
      { header: 'why', prose: true },
    ],
    rows: list.map(({ what, reason }) => [what, reason]),
  })}</details>`;
}

export const faithfulnessSection = defineSection({
  id: 'faithfulness',
  title: 'Can the scores be trusted?',
  part: (report) => {
    const explanation = report.maybe('explanation');
    return explanation?.value.curves ? explanation : undefined;
  },
  render: (explanation) => {
    const curves = explanation.maybe('curves')!;
    const { shares, best, mostFirst, leastFirst, ...random } = curves.value;
    const line = (values: readonly number[]) =>
      values.map((value, at) => [shares[at]!, value] as const);
    return html`<p class="lead"><b>${best}</b> came out as the most faithful score on this model; where intervals overlap, another may be as good. More and more of the ${show(curves.get('units'), 'integer')} units are replaced by their means. A criterion that knows what matters loses accuracy at once when the most important leave first, and late when the least important do. The random curve is over ${show(curves.get('seeds'), 'integer')} seeds, on ${show(curves.get('samples'), 'integer')} samples that no criterion has seen.</p>${lineChart(
      {
        series: [
          { name: `${best}, least important first`, points: line(leastFirst) },
          {
            name: 'random (band: least and most)',
            points: line(random.randomMean),
            band: shares.map((at, i) => [at, random.randomLow[i]!, random.randomHigh[i]!] as const),
          },
          { name: `${best}, most important first`, points: line(mostFirst) },
        ],
        x: { label: 'share of units replaced', format: formats.share },
        y: { label: 'accuracy', min: 0, format: formats.share },
        summary: `Deletion curves of ${best} and of random orders`,
      },
    )}${areas(explanation)}${spearman(explanation)}`;
  },
});

function areas(explanation: Located<ExplanationData>): Html {
  const estimate = (
    row: Located<ExplanationData['areas'][number]>,
    key: 'area' | 'mostFirst' | 'leastFirst',
  ) =>
    html`${show(row.get(key).get('mean'), 'plain')} <span class="interval">${showInterval(row.get(key).get('interval'), 'plain')}</span>`;
  return table({
    caption: 'Area between the curves, in accuracy times share, with 95 % intervals over the seeds',
    columns: [
      { header: 'criterion' },
      { header: 'least minus most first', right: true },
      { header: '', chart: true },
      { header: 'random minus most first', right: true },
      { header: 'least first minus random', right: true },
    ],
    rows: explanation
      .get('areas')
      .items()
      .map((row) => [
        row.value.name,
        estimate(row, 'area'),
        bar(
          row.value.area.mean / Math.max(...explanation.value.areas.map(({ area }) => area.mean)),
        ),
        estimate(row, 'mostFirst'),
        estimate(row, 'leastFirst'),
      ]),
  });
}

function spearman(explanation: Located<ExplanationData>): Html | undefined {
  const found = explanation.maybe('spearman');
  if (!found) return undefined;
  const { criteria } = found.value;
  const caption = 'Agreement of the criteria: rank correlation (Spearman) within layers';
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table class="matrix"><caption><span>${caption}</span></caption><thead><tr><td></td>${criteria.map((name) => html`<th scope="col"><span>${name}</span></th>`)}</tr></thead><tbody>${found
    .get('matrix')
    .items()
    .map(
      (row, at) =>
        html`<tr><th scope="row">${criteria[at]}</th>${row.items().map((cell) => {
          const level = Math.max(0, Math.min(4, Math.round(4 * cell.value)));
          return html`<td class="level-${level}">${show(new Located<number | null>(cell.value, cell.at), 'two')}</td>`;
        })}</tr>`,
    )}</tbody></table></div>`;
}
