/**
 * An explanation in the terminal: a row per layer, what the scores are worth on this model, and the
 * strongest paths. The whole of it is in the JSON.
 */
import type { Explanation, LayerExplanation } from '../explain/explanation.js';
import { bar } from './bars.js';
import { formatPercent, formatSigned } from './format.js';
import { type TableOptions, table } from './table.js';

const shownUnits = 4;
const shownPaths = 5;
const barWidth = 10;

export function explanationText(explanation: Explanation, options: TableOptions): string {
  const parts = [
    layersText(explanation, options),
    faithfulnessText(explanation, options),
    pathsText(explanation),
    skippedText(explanation),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** The score that the table is sorted by: the most faithful one, or the most exact that is there. */
function leadOf({ faithfulness, criteria }: Explanation): string {
  return faithfulness?.best || criteria.at(-1)!.name;
}

function layersText(explanation: Explanation, options: TableOptions): string {
  const lead = leadOf(explanation);
  const totals = explanation.layers.map(({ scores }) =>
    (scores[lead] ?? []).reduce((sum, score) => sum + Math.max(0, score), 0),
  );
  const largest = Math.max(...totals);
  const unicode = options.style?.unicode ?? true;
  const rows = explanation.layers.map((layer, at) => {
    const order = orderOf(layer, lead);
    return [
      layer.id,
      `${layer.units} ${layer.kind}`,
      String(layer.dead.length),
      redundantCount(layer),
      order.slice(0, shownUnits).join(' '),
      order.slice(-shownUnits).reverse().join(' '),
      bar(largest > 0 ? totals[at]! / largest : 0, barWidth, { unicode }),
    ];
  });
  const { baseline, data } = explanation;
  return table(
    [
      { header: 'layer' },
      { header: 'units', align: 'right' },
      { header: 'dead', align: 'right' },
      { header: 'twins', align: 'right' },
      { header: 'most important', flexible: false },
      { header: 'least', flexible: false },
      { header: 'sum', flexible: false },
    ],
    rows,
    {
      ...options,
      notes: [
        `ranked by ${lead}; twins say nearly what another unit of the layer says (correlation 0.95 or above)`,
        `${data.samples} samples, ${accuracyWord(explanation)} ${formatPercent(baseline.accuracy)}, loss ${baseline.loss.toFixed(4)} nats`,
      ],
    },
  );
}

function accuracyWord({ data }: Explanation): string {
  return data.labels === 'predicted' ? 'agreement with itself' : 'accuracy';
}

function orderOf({ scores, units }: LayerExplanation, lead: string): number[] {
  const own = scores[lead];
  const all = Array.from({ length: units }, (_, unit) => unit);
  return own ? all.sort((a, b) => own[b]! - own[a]!) : all;
}

function redundantCount({ redundancy }: LayerExplanation): string {
  if (!redundancy) return '-';
  return String(redundancy.correlation.filter((r) => Math.abs(r) >= 0.95).length);
}

function faithfulnessText({ faithfulness }: Explanation, options: TableOptions): string {
  if (!faithfulness) return '';
  const { criteria, samples, seeds, units, shares } = faithfulness;
  const atFifth = shares.indexOf(0.2);
  const unicode = options.style?.unicode ?? true;
  const best = Math.max(...criteria.map(({ area }) => area.mean));
  const interval = ([low, high]: readonly [number, number]) =>
    `${low.toFixed(3)} to ${high.toFixed(3)}`;
  const whole = criteria[0]!.leastFirst.accuracy[0]!;
  const change = (share: number) =>
    formatSigned(100 * (share - whole), (points) => `${points.toFixed(1)}`);
  return table(
    [
      { header: 'criterion', flexible: false },
      { header: 'area', align: 'right' },
      { header: '95 % interval', align: 'right' },
      { header: 'least 20 %', align: 'right' },
      { header: 'most 20 %', align: 'right' },
      { header: '', flexible: false },
    ],
    criteria.map(({ name, area, leastFirst, mostFirst }) => [
      name,
      area.mean.toFixed(3),
      interval(area.interval),
      change(leastFirst.accuracy[atFifth]!),
      change(mostFirst.accuracy[atFifth]!),
      bar(best > 0 ? area.mean / best : 0, barWidth, { unicode }),
    ]),
    {
      ...options,
      notes: [
        `area between the deletion curves least first and most first: 0 is chance; points of accuracy when a fifth of ${units} units is replaced by its mean`,
        `on ${samples} other samples, ${seeds.length} seeds; most faithful here: ${faithfulness.best}`,
      ],
    },
  );
}

function pathsText({ connections: { paths }, model }: Explanation): string {
  const lines = paths.slice(0, shownPaths).flatMap(({ output, paths: [first] }) => {
    if (!first) return [];
    const name = model.classNames?.[output] ?? String(output);
    const steps = first.steps.map(({ layer, unit }) => `${layer}:${unit}`).join(' > ');
    return [`  ${name}: ${steps}`];
  });
  return lines.length > 0 ? ['strongest paths', ...lines].join('\n') : '';
}

function skippedText({ skipped }: Explanation): string {
  if (skipped.length === 0) return '';
  return ['left out', ...skipped.map(({ what, reason }) => `  ${what}: ${reason}`)].join('\n');
}
