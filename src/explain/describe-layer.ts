/**
 * From what was collected of a layer to what an explanation says of it: plain JSON. Runs nothing.
 */
import { type LayerAblation, mostClasses } from './ablation.js';
import { type Collected, scoreOf, unitCriteria } from './criteria.js';
import type { Exemplar, LayerExplanation, Redundancy } from './explanation.js';
import type { Layer } from './layers.js';
import type { LayerObservation } from './observe.js';
import { short } from './preview.js';

/** Samples as the data numbers them, and the class of each; undefined for tokens. */
export interface SampleKey {
  readonly indices: readonly number[];
  readonly classes: readonly number[] | undefined;
  /** How many classes the model has. */
  readonly width: number;
}

/** Samples per unit that are shown. */
const mostExemplars = 3;

export function describeLayer(layer: Layer, data: Collected, key: SampleKey): LayerExplanation {
  const observation = data.observations.get(layer)!;
  const { mean, variance, smallest, largest, zeroShare, saturatedShare } = observation;
  const scores = unitCriteria.flatMap((criterion) => {
    const own = scoreOf(criterion, layer, data);
    return own ? [[criterion.name, Array.from(own, short)] as const] : [];
  });
  const classMeans = key.classes && meansByClass(layer.units, observation, key);
  const ablation = data.ablations?.get(layer);
  return {
    id: layer.id,
    op: layer.node.op,
    weight: layer.weights[0]?.value.name ?? null,
    value: layer.value.name,
    axis: layer.axis,
    kind: layer.kind,
    units: layer.units,
    unitWidth: layer.unitWidth,
    positions: observation.positions,
    scores: Object.fromEntries(scores),
    statistics: {
      mean: Array.from(mean, short),
      variance: Array.from(variance, short),
      smallest: Array.from(smallest, short),
      largest: Array.from(largest, short),
      zeroShare: Array.from(zeroShare, short),
      saturatedShare: saturatedShare ? Array.from(saturatedShare, short) : null,
    },
    dead: [...variance.keys()].filter((unit) => variance[unit] === 0),
    ablation: ablation ? describeAblation(layer.units, ablation, key) : null,
    exemplars: exemplarsOf(layer.units, observation, key),
    classMeans: classMeans && key.width <= mostClasses ? classMeans : null,
    serves: classMeans?.map(highest) ?? [],
    redundancy: redundancyOf(observation),
  };
}

function describeAblation(
  units: number,
  { loss, accuracy, perClass }: LayerAblation,
  { indices, classes, width }: SampleKey,
): LayerExplanation['ablation'] {
  const counts = new Float64Array(width);
  for (const class_ of classes ?? []) counts[class_]!++;
  return {
    samples: indices.length,
    loss: Array.from(loss, short),
    accuracy: Array.from(accuracy, short),
    perClass: perClass
      ? Array.from({ length: units }, (_, unit) =>
          Array.from(counts, (count, class_) =>
            count > 0 ? short(perClass[unit * width + class_]! / count) : null,
          ),
        )
      : null,
  };
}

function exemplarsOf(
  units: number,
  { peaks, places }: LayerObservation,
  { indices }: SampleKey,
): LayerExplanation['exemplars'] {
  const order = Array.from(indices, (_, sample) => sample);
  const most: Exemplar[][] = [];
  const least: Exemplar[][] = [];
  for (let unit = 0; unit < units; unit++) {
    const peak = (sample: number) => peaks[sample * units + unit]!;
    const sorted = [...order].sort((a, b) => peak(b) - peak(a) || a - b);
    const pick = (sample: number): Exemplar => ({
      sample: indices[sample]!,
      value: short(peak(sample)),
      place: places[sample * units + unit]!,
    });
    most.push(sorted.slice(0, mostExemplars).map(pick));
    least.push(sorted.slice(-1).map(pick));
  }
  return { most, least };
}

/** Units by classes; 0 for a class without samples. */
function meansByClass(
  units: number,
  { sampleMeans }: LayerObservation,
  { classes, width }: SampleKey,
): number[][] {
  const counts = new Float64Array(width);
  const sums = Array.from({ length: units }, () => new Float64Array(width));
  classes!.forEach((class_, sample) => {
    counts[class_]!++;
    for (let unit = 0; unit < units; unit++)
      sums[unit]![class_]! += sampleMeans[sample * units + unit]!;
  });
  return sums.map((row) => Array.from(row, (sum, at) => short(sum / Math.max(1, counts[at]!))));
}

/** Three classes at most, none whose mean is that of all others. */
function highest(means: readonly number[]): number[] {
  const order = [...means.keys()].sort((a, b) => means[b]! - means[a]!);
  const least = means[order.at(-1)!]!;
  return order.filter((at) => means[at]! > least).slice(0, 3);
}

function redundancyOf({ covariance, variance }: LayerObservation): Redundancy | null {
  if (!covariance) return null;
  const units = variance.length;
  const nearest: number[] = [];
  const correlation: number[] = [];
  for (let unit = 0; unit < units; unit++) {
    let best = -1;
    let own = 0;
    for (let other = 0; other < units; other++) {
      const scale = Math.sqrt(variance[unit]! * variance[other]!);
      if (other === unit || scale === 0) continue;
      const r = covariance[unit * units + other]! / scale;
      if (best >= 0 && Math.abs(r) <= Math.abs(own)) continue;
      best = other;
      own = r;
    }
    nearest.push(best);
    correlation.push(short(Math.max(-1, Math.min(1, own))));
  }
  return { nearest, correlation };
}
