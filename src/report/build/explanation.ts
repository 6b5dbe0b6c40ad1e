/**
 * As much of an explanation as a page shows: the scores of one criterion, the most important units
 * of each layer with their samples, curves, agreement. Converts, measures nothing.
 */
import type {
  Exemplar,
  Explanation,
  Faithfulness,
  LayerExplanation,
} from '../../explain/explanation.js';
import type { ExemplarData, ExplanationData, UnitData } from '../data/explanation.js';
import { attributionPicture, exemplarOf, SampleCards } from './explained-samples.js';

/** Units of a layer that are shown with their samples, and samples of a unit. */
const mostUnits = 4;
const mostSamples = 6;
const mostLeast = 2;
const mostAttributions = 24;
const mostPaths = 20;
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
        ...{ id: layer.id, op: layer.op, weight: layer.weight, kind: layer.kind },
        scores: [...scores],
        dead: layer.dead.length,
        twins: layer.redundancy?.correlation.filter(isTwin).length ?? null,
        top: topUnits(layer, scores, cards),
      };
    }),
    ...faithfulnessOf(faithfulness),
    blocks: [...connections.blocks]
      .sort((a, b) => b.share - a.share)
      .slice(0, mostBlocks)
      .map(({ from, to, norm, share }) => ({ from, to, norm, share: Math.min(1, share) })),
    paths: pathsOf(connections.paths, classOf),
    attributions: explanation.inputs.slice(0, mostAttributions).map((input) => ({
      sample: cards.idOf(input.sample),
      target: classOf(input.target),
      method: input.method,
      picture: attributionPicture(input),
      original: cards.previewOf(input.sample),
      error: input.completenessError,
    })),
    attributionTests: (faithfulness?.inputs ?? []).map((row) => ({ ...row })),
    skipped: skipped.map(({ what, reason }) => ({ what, reason })),
    samples: cards.list,
  };
}

/** The strongest one to each output before the second ones, each output's together. */
function pathsOf(
  all: Explanation['connections']['paths'],
  classOf: (index: number) => string,
): ExplanationData['paths'] {
  const each = Math.max(1, Math.floor(mostPaths / Math.max(1, all.length)));
  return all.slice(0, mostPaths).flatMap(({ output, paths }) =>
    paths.slice(0, each).map(({ steps, share: strength }) => ({
      output: classOf(output),
      steps: steps.map(({ layer, unit }) => `${layer}:${unit}`).join(' → '),
      share: strength,
    })),
  );
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
  const samples = (list: readonly Exemplar[] | undefined, most: number) =>
    (list ?? []).slice(0, most).map((each) => exemplarOf(each, layer, cards));
  // Where a unit says least on the whole, the place where it says most is of no interest.
  const unplaced = (each: ExemplarData) => (each.context ? each : { ...each, at: null });
  return order.slice(0, mostUnits).map((unit) => {
    const nearest = redundancy?.nearest[unit] ?? -1;
    return {
      ...{ unit, score: scores[unit]! },
      loss: ablation?.loss[unit] ?? null,
      accuracy: ablation?.accuracy[unit] ?? null,
      zeros: share(statistics.zeroShare[unit]!),
      saturated: statistics.saturatedShare && share(statistics.saturatedShare[unit]!),
      worst: worstClass(ablation?.perClass?.[unit], cards),
      serves: (serves[unit] ?? []).map(cards.className),
      nearest: nearest < 0 ? null : nearest,
      correlation: nearest < 0 ? null : redundancy!.correlation[unit]!,
      most: samples(exemplars.most[unit], mostSamples),
      least: samples(exemplars.least[unit], mostLeast).map(unplaced),
    };
  });
}

/** Correlation from which two units say nearly the same. */
const isTwin = (correlation: number) => Math.abs(correlation) >= 0.95;

const share = (value: number) => Math.min(1, Math.max(0, value));

/** Null where no class loses anything. */
function worstClass(
  changes: readonly (number | null)[] | undefined,
  cards: SampleCards,
): UnitData['worst'] {
  const least = Math.min(0, ...(changes ?? []).map((change) => change ?? 0));
  if (!changes || least === 0) return null;
  return { class: cards.className(changes.indexOf(least)), accuracy: least };
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
