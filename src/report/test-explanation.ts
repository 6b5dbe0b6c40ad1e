/** An explanation with every part, for tests: small, made up, and with names that would be markup. */
import type { Explanation } from '../explain/explanation.js';

/** What a model file may be called inside. */
export const hostile = '<script>alert("1")</script> & \'"><img src=x onerror=alert(2)> \u202egnp';

export function smallExplanation(): Explanation {
  const units = 6;
  const by = (of: (unit: number) => number) => Array.from({ length: units }, (_, at) => of(at));
  const estimate = { mean: 0.31, interval: [0.29, 0.33] as const, perSeed: [0.3, 0.32] };
  const curve = (accuracy: readonly number[]) => ({ accuracy, loss: accuracy.map((a) => 1 - a) });
  const exemplars = by((at) => at).map((at) =>
    [0, 1].map((sample) => ({ sample: (at + sample) % 3, value: at, place: 0 })),
  );
  return {
    schema: 1,
    kind: 'explanation',
    model: {
      name: 'net',
      task: 'classification',
      output: 'y',
      classes: 3,
      classNames: ['cat', hostile, 'frog'],
      tokens: { 1: hostile, 2: 'says' },
    },
    data: { name: hostile, samples: 500, fingerprint: 'ab', labels: 'given' },
    baseline: { loss: 0.61, accuracy: 0.81 },
    layers: ['/layer0/Conv', hostile].map((id, at) => ({
      id,
      op: 'Conv',
      weight: id,
      value: `${id}_out`,
      axis: 1,
      kind: 'channels',
      units,
      unitWidth: 1,
      positions: at === 0 ? [8, 8] : [3],
      scores: { ablation: by((at) => 0.1 * at - 0.05), magnitude: by((at) => at) },
      statistics: {
        mean: by(() => 0.5),
        variance: by(() => 1),
        smallest: by(() => 0),
        largest: by(() => 4),
        zeroShare: by(() => 0.25),
        saturatedShare: at === 0 ? null : by(() => 0.125),
      },
      dead: [0],
      ablation: {
        samples: 500,
        loss: by((at) => 0.01 * at),
        accuracy: by((at) => -0.002 * at),
        perClass: by((unit) => unit).map((unit) => [0.01 * unit, -0.02 * unit, null]),
      },
      exemplars: { most: exemplars, least: exemplars },
      classMeans: null,
      serves: by((at) => at).map((at) => [at % 3]),
      redundancy: { nearest: by((at) => (at + 1) % units), correlation: by(() => 0.75) },
    })),
    criteria: [
      { name: 'ablation', summary: hostile, unit: 'nats', comparable: true, samples: 500 },
      {
        name: 'magnitude',
        summary: 'norm of the weights',
        unit: null,
        comparable: false,
        samples: 0,
      },
    ],
    connections: {
      blocks: [{ from: 'input', to: hostile, norm: 3.5, share: 1, strongest: [] }],
      paths: [{ output: 1, paths: [{ steps: [{ layer: hostile, unit: 2 }], share: 0.02 }] }],
    },
    inputs: [
      {
        sample: 1,
        target: 1,
        method: 'integrated-gradients',
        input: 'x',
        dims: [3, 2, 2],
        values: Array.from({ length: 12 }, (_, at) => at / 12),
        completenessError: -0.02,
      },
    ],
    faithfulness: {
      samples: 250,
      units: 12,
      seeds: [0, 1],
      shares: [0, 0.5, 1],
      random: [curve([0.81, 0.4, 0.1]), curve([0.81, 0.5, 0.1])],
      criteria: ['ablation', 'magnitude'].map((name) => ({
        name,
        mostFirst: curve([0.81, 0.15, 0.1]),
        leastFirst: curve([0.81, 0.75, 0.1]),
        area: estimate,
        overRandom: { mostFirst: estimate, leastFirst: estimate },
      })),
      best: 'ablation',
      agreement: {
        criteria: ['ablation', 'magnitude'],
        spearman: [
          [1, 0.55],
          [0.55, 1],
        ],
      },
      inputs: [{ method: 'saliency', samples: 20, infidelity: 0.02, sensitivity: 0.4 }],
    },
    samples: [0, 1, 2].map((index) => ({
      index,
      id: index === 1 ? hostile : `s${index}`,
      label: index,
      predicted: index,
      loss: 0.1,
      preview:
        index === 0
          ? { kind: 'image', width: 2, height: 1, channels: 1, pixels: 'AP8=' }
          : index === 1
            ? { kind: 'tokens', ids: [1, 2, 3] }
            : { kind: 'signal', length: 8, low: [-1, -0.5], high: [0.5, 1] },
    })),
    skipped: [{ what: hostile, reason: 'it is a Loop' }],
    notes: [],
    seed: 0,
  };
}
