/**
 * Whether an explanation is true: units are replaced by their means in the order of each score, the
 * most important first, the least important first, and in random orders, on samples that no score
 * has seen. A faithful score falls fast from the one end and late from the other. Source of the
 * test: Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned"
 * (2017), here for units instead of pixels.
 *
 * Intervals are over seeds; each seed has a random order and draws the samples anew with
 * replacement (bootstrap), so that they cover both chances.
 */
import { createRandom, permutation } from '../random.js';
import { area, estimate, spearman } from './estimate.js';
import type { CriterionFaithfulness, DeletionCurve, Faithfulness } from './explanation.js';
import type { Layer } from './layers.js';
import type { Masked, SampleScores, UnitRef } from './masked.js';

/** A score that takes part: a number for each unit of each layer. */
export interface Ranking {
  readonly name: string;
  readonly comparable: boolean;
  readonly scores: ReadonlyMap<Layer, ArrayLike<number>>;
}

/** Dense where models still work. */
const shares: readonly number[] = Object.freeze([0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1]);

export interface FaithfulnessRequest {
  readonly masked: Masked;
  readonly layers: readonly Layer[];
  readonly rankings: readonly Ranking[];
  readonly samples: number;
  readonly seeds: readonly number[];
  /** Told after each point of a curve. */
  readonly onPoint?: (() => void) | undefined;
}

/** How many points a request runs. */
export function pointsOf({
  rankings,
  seeds,
}: Pick<FaithfulnessRequest, 'rankings' | 'seeds'>): number {
  return 2 + (shares.length - 2) * (2 * rankings.length + seeds.length);
}

export async function measureFaithfulness(
  request: FaithfulnessRequest,
): Promise<Omit<Faithfulness, 'inputs'>> {
  const { masked, layers, rankings, samples, seeds, onPoint } = request;
  const all = layers.flatMap((layer) =>
    Array.from({ length: layer.units }, (_, unit): UnitRef => ({ layer, unit })),
  );
  const run = async (units: readonly UnitRef[]) => {
    const scores = await masked.run(units);
    onPoint?.();
    return scores;
  };
  const [whole, empty] = [await run([]), await run(all)];
  const curve = async (order: readonly UnitRef[]): Promise<SampleScores[]> => {
    const points = [whole];
    for (const share of shares.slice(1, -1)) {
      points.push(await run(order.slice(0, Math.round(share * order.length))));
    }
    return [...points, empty];
  };
  const random: SampleScores[][] = [];
  for (const seed of seeds) {
    random.push(await curve([...permutation(all.length, seed)].map((at) => all[at]!)));
  }
  const draws = seeds.map((seed) => drawSamples(samples, seed));
  const criteria: CriterionFaithfulness[] = [];
  for (const ranking of rankings) {
    const order = orderOf(all, ranking, seeds[0]!);
    const most = await curve(order);
    const least = await curve([...order].reverse());
    const areas = (points: readonly SampleScores[]) => draws.map((draw) => areaOf(points, draw));
    const [ofMost, ofLeast] = [areas(most), areas(least)];
    const ofRandom = random.map((points, at) => areaOf(points, draws[at]!));
    const gap = (a: readonly number[], b: readonly number[]) =>
      estimate(a.map((value, at) => value - b[at]!));
    criteria.push({
      name: ranking.name,
      mostFirst: curveOf(most),
      leastFirst: curveOf(least),
      area: gap(ofLeast, ofMost),
      overRandom: { mostFirst: gap(ofRandom, ofMost), leastFirst: gap(ofLeast, ofRandom) },
    });
  }
  criteria.sort((a, b) => b.area.mean - a.area.mean);
  return {
    samples,
    units: all.length,
    seeds,
    shares,
    random: random.map(curveOf),
    criteria,
    best: criteria[0]?.name ?? '',
    agreement: agreementOf(layers, rankings),
  };
}

/**
 * The most important unit first. Equal ones come in a random order: that of the model would pass
 * for knowledge, since early layers are worth more than late ones.
 */
export function orderOf(
  all: readonly UnitRef[],
  { comparable, scores }: Omit<Ranking, 'name'>,
  seed: number,
): UnitRef[] {
  const chance = permutation(all.length, seed);
  const means = new Map(
    [...scores].map(([layer, own]) => {
      const sum = Array.from(own).reduce((total, score) => total + Math.abs(score), 0);
      return [layer, comparable || sum === 0 ? 1 : sum / own.length];
    }),
  );
  const scored = all.map((ref, at) => {
    const score = scores.get(ref.layer)![ref.unit]! / means.get(ref.layer)!;
    return { ref, chance: chance[at]!, score };
  });
  return scored.sort((a, b) => b.score - a.score || a.chance - b.chance).map(({ ref }) => ref);
}

function drawSamples(count: number, seed: number): Uint32Array {
  const random = createRandom(seed);
  return Uint32Array.from({ length: count }, () => random.int(count));
}

function areaOf(points: readonly SampleScores[], draw: Uint32Array): number {
  return area(
    shares,
    points.map(({ hits }) => draw.reduce((sum, at) => sum + hits[at]!, 0) / draw.length),
  );
}

function curveOf(points: readonly SampleScores[]): DeletionCurve {
  const mean = (values: Float64Array) => values.reduce((a, b) => a + b, 0) / values.length;
  return {
    accuracy: points.map(({ hits }) => mean(hits)),
    loss: points.map(({ loss }) => mean(loss)),
  };
}

function agreementOf(
  layers: readonly Layer[],
  rankings: readonly Ranking[],
): Faithfulness['agreement'] {
  const units = layers.reduce((sum, layer) => sum + layer.units, 0);
  const agree = (a: Ranking, b: Ranking) =>
    layers.reduce(
      (sum, layer) =>
        sum + (layer.units / units) * spearman(a.scores.get(layer)!, b.scores.get(layer)!),
      0,
    );
  return {
    criteria: rankings.map(({ name }) => name),
    spearman: rankings.map((a) => rankings.map((b) => (a === b ? 1 : agree(a, b)))),
  };
}
