/**
 * As much of an explanation as a page shows: the scores of one criterion, the most important units
 * of each layer with their samples, curves, agreement. Converts, measures nothing.
 */
import { type Preview as Picture, picture } from '../../data/preview.js';
import type {
  Explanation,
  Faithfulness,
  InputAttribution,
  LayerExplanation,
  Preview,
} from '../../explain/explanation.js';
import type { ExplanationData, UnitData } from '../data/explanation.js';

/** Units of a layer that are shown with their samples, and samples of a unit. */
const mostUnits = 4;
const mostSamples = 6;
const mostLeast = 2;
const mostAttributions = 24;
const mostPaths = 12;
const mostBlocks = 60;

export function explanationPart(explanation: Explanation): ExplanationData {
  const { data, baseline, faithfulness, criteria, connections, skipped } = explanation;
  const criterion = chosenCriterion(explanation);
  const cards = new SampleCards(explanation);
  const classOf = cards.className;
  return {
    criterion,
    criteria: criteria.map(({ name, summary, unit }) => ({ name, summary, unit })),
    samplesSeen: data.samples,
    labels: data.labels,
    baseline: { loss: baseline.loss, accuracy: baseline.accuracy },
    layers: explanation.layers.flatMap((layer) => {
      const scores = layer.scores[criterion];
      if (!scores) return [];
      return {
        ...{ id: layer.id, op: layer.op, kind: layer.kind },
        scores: [...scores],
        dead: layer.dead.length,
        top: topUnits(layer, scores, cards),
      };
    }),
    ...faithfulnessOf(faithfulness),
    blocks: [...connections.blocks]
      .sort((a, b) => b.share - a.share)
      .slice(0, mostBlocks)
      .map(({ from, to, norm, share }) => ({ from, to, norm, share: Math.min(1, share) })),
    paths: connections.paths
      .flatMap(({ output, paths }) =>
        paths.map(({ steps, share }) => ({
          output: classOf(output),
          steps: steps.map(({ layer, unit }) => `${layer}:${unit}`).join(' → '),
          share,
        })),
      )
      .slice(0, mostPaths),
    attributions: explanation.inputs.slice(0, mostAttributions).map((input) => ({
      sample: cards.idOf(input.sample),
      target: classOf(input.target),
      method: input.method,
      picture: attributionPicture(input),
      original: cards.previewOf(input.sample),
    })),
    attributionTests: (faithfulness?.inputs ?? []).map((row) => ({ ...row })),
    skipped: skipped.map(({ what, reason }) => ({ what, reason })),
    samples: cards.list,
  };
}

/** The most faithful one, else exact ablation, else the first that the layers have. */
function chosenCriterion({ faithfulness, criteria, layers }: Explanation): string {
  const known = (name: string) => layers.some(({ scores }) => scores[name]);
  const names = [
    ...(faithfulness ? [faithfulness.best] : []),
    'ablation',
    ...criteria.map(({ name }) => name),
  ];
  return names.find(known) ?? criteria[0]?.name ?? '';
}

function topUnits(
  layer: LayerExplanation,
  scores: readonly number[],
  cards: SampleCards,
): UnitData[] {
  const { ablation, exemplars, statistics, serves, redundancy } = layer;
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!);
  const samples = (list: readonly { readonly sample: number }[] | undefined, most: number) =>
    (list ?? []).slice(0, most).map(({ sample }) => cards.indexOf(sample));
  return order.slice(0, mostUnits).map((unit) => {
    const nearest = redundancy?.nearest[unit] ?? -1;
    return {
      ...{ unit, score: scores[unit]! },
      loss: ablation?.loss[unit] ?? null,
      accuracy: ablation?.accuracy[unit] ?? null,
      zeros: Math.min(1, Math.max(0, statistics.zeroShare[unit]!)),
      serves: (serves[unit] ?? []).map(cards.className),
      nearest: nearest < 0 ? null : nearest,
      correlation: nearest < 0 ? null : redundancy!.correlation[unit]!,
      most: samples(exemplars.most[unit], mostSamples),
      least: samples(exemplars.least[unit], mostLeast),
    };
  });
}

function faithfulnessOf(
  found: Faithfulness | null,
): Pick<ExplanationData, 'curves' | 'areas' | 'spearman'> {
  if (!found) return { curves: null, areas: [], spearman: null };
  const best = found.criteria.find(({ name }) => name === found.best)!;
  const perShare = (of: (values: number[]) => number) =>
    found.shares.map((_, at) => of(found.random.map(({ accuracy }) => accuracy[at]!)));
  const estimate = ({ mean, interval }: { mean: number; interval: readonly [number, number] }) => ({
    mean,
    interval: [interval[0], interval[1]] as [number, number],
  });
  return {
    curves: {
      samples: found.samples,
      units: found.units,
      seeds: found.seeds.length,
      shares: [...found.shares],
      best: found.best,
      mostFirst: [...best.mostFirst.accuracy],
      leastFirst: [...best.leastFirst.accuracy],
      randomMean: perShare((values) => values.reduce((a, b) => a + b, 0) / values.length),
      randomLow: perShare((values) => Math.min(...values)),
      randomHigh: perShare((values) => Math.max(...values)),
    },
    areas: found.criteria.map(({ name, area, overRandom }) => ({
      name,
      area: estimate(area),
      mostFirst: estimate(overRandom.mostFirst),
      leastFirst: estimate(overRandom.leastFirst),
    })),
    spearman: {
      criteria: [...found.agreement.criteria],
      matrix: found.agreement.spearman.map((row) => [...row]),
    },
  };
}

/** The samples that a page refers to, each once. */
class SampleCards {
  readonly list: ExplanationData['samples'] = [];
  readonly #explanation: Explanation;
  readonly #places = new Map<number, number>();

  constructor(explanation: Explanation) {
    this.#explanation = explanation;
  }

  readonly className = (index: number): string =>
    this.#explanation.model.classNames?.[index] ?? String(index);

  idOf(sample: number): string {
    return this.#card(sample)?.id ?? String(sample);
  }

  previewOf(sample: number): Picture {
    return pictureOf(this.#card(sample)?.preview ?? null);
  }

  /** Place of a sample in the list, which it joins. */
  indexOf(sample: number): number {
    const known = this.#places.get(sample);
    if (known !== undefined) return known;
    const card = this.#card(sample);
    this.#places.set(sample, this.list.length);
    return (
      this.list.push({
        id: this.idOf(sample),
        label: card?.label === null || !card ? '' : this.className(card.label),
        predicted: card ? this.className(card.predicted) : '',
        preview: this.previewOf(sample),
      }) - 1
    );
  }

  #card(sample: number) {
    return this.#explanation.samples.find(({ index }) => index === sample);
  }
}

/** Longest side of a picture of an explanation, in numbers of the input. */
const mostTokens = 48;

function pictureOf(preview: Preview | null): Picture {
  if (preview === null) return { kind: 'none' };
  if (preview.kind === 'image') {
    const { width, height, channels, pixels } = preview;
    const data = Uint8Array.from(atob(pixels), (character) => character.charCodeAt(0));
    return picture({ width, height, channels, data });
  }
  if (preview.kind === 'tokens') {
    const rest = preview.ids.length > mostTokens ? ' ...' : '';
    return { kind: 'text', text: preview.ids.slice(0, mostTokens).join(' ') + rest };
  }
  const { low, high } = preview;
  const peaks = low.map((value, at) => (Math.abs(value) > Math.abs(high[at]!) ? value : high[at]!));
  const largest = peaks.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  return { kind: 'curve', points: peaks.map((value) => value / largest) };
}

/** Magnitudes of an attribution, channels summed: black for none, white for the largest. */
function attributionPicture({ dims, values }: InputAttribution): Picture {
  const sides = dims.filter((dim) => dim > 1);
  const isColor = sides.length === 3 && (sides[0]! <= 4 || sides[2]! <= 4);
  const isFirst = isColor && sides[0]! <= 4;
  const channels = isColor ? (isFirst ? sides[0]! : sides[2]!) : 1;
  const [height, width] = isColor ? (isFirst ? sides.slice(1) : sides.slice(0, 2)) : sides;
  if (height === undefined || width === undefined || (!isColor && sides.length !== 2)) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    return { kind: 'curve', points: values.slice(0, 512).map((value) => value / largest) };
  }
  const sums = new Float64Array(height * width);
  for (const [at, value] of values.entries()) {
    const place = isFirst ? at % sums.length : Math.floor(at / channels);
    sums[place]! += Math.abs(value);
  }
  const largest = sums.reduce((a, b) => Math.max(a, b), 0) || 1;
  const data = Uint8Array.from(sums, (sum) => Math.round((255 * sum) / largest));
  return picture({ width, height, channels: 1, data });
}
