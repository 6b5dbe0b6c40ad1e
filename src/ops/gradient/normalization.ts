/**
 * Gradients of normalizations. With x̂ = (x - mean) / σ and g the gradient times the scale:
 * dx = (g - mean g - x̂ mean(g x̂)) / σ over the normalized axes; scale and bias get sums of
 * dy x̂ and dy. LayerNormalization gives its mean and 1/σ as outputs; the others compute them again.
 */
import type { Value } from '../../graph/value.js';
import {
  expand,
  type GradientEmitter,
  type GradientTable,
  NoGradient,
  type OperatorGradient,
  rule,
} from './rule.js';

interface Normalized {
  /** (x - mean) / σ, and 1 / σ. */
  readonly xHat: Value;
  readonly inverse: Value;
}

/** x̂ and 1/σ over these axes, from x; without the mean for root-mean-square norms. */
function normalize(
  g: GradientEmitter,
  x: Value,
  axes: readonly number[],
  epsilon: number,
  isCentered = true,
): Normalized {
  const centered = isCentered ? g.sub(x, g.reduce('ReduceMean', x, axes)) : x;
  const variance = g.reduce('ReduceMean', g.square(centered), axes);
  const inverse = g.div(1, g.op('Sqrt', [g.add(variance, epsilon)]));
  return { xHat: g.mul(centered, inverse), inverse };
}

/** dx of the gradient that x̂ has. */
function throughNormalized(
  g: GradientEmitter,
  gradient: Value,
  { xHat, inverse }: Normalized,
  axes: readonly number[],
  isCentered = true,
): Value {
  const along = g.mul(xHat, g.reduce('ReduceMean', g.mul(gradient, xHat), axes));
  const shifted = isCentered ? g.sub(gradient, g.reduce('ReduceMean', gradient, axes)) : gradient;
  return g.mul(g.sub(shifted, along), inverse);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
}

/** A vector of channels as [C, 1, 1, ...], which broadcasts against [N, C, ...]. */
function perChannel(g: GradientEmitter, vector: Value, rank: number): Value {
  return g.reshape(vector, [-1, ...range(2, rank).map(() => 1)]);
}

function notChannels(rank: number): number[] {
  return [0, ...range(2, rank)];
}

const layerNormalization = rule((g, node) => {
  const rank = g.rankOf(node.input(0));
  const first = (node.int('axis', -1) + rank) % rank;
  const axes = range(first, rank);
  const parts = (): Normalized => {
    const mean = g.cast(g.extraOutput(1, 'Mean'));
    const inverse = g.cast(g.extraOutput(2, 'InvStdDev'));
    return { xHat: g.mul(g.sub(g.input(0), mean), inverse), inverse };
  };
  const bias = node.inputs[2];
  const share = () => inverseCount(g, node.input(0), g.extraOutput(1, 'Mean'));
  // A model may use the mean and 1/σ: d mean = 1/n, d (1/σ) = -x̂ / (n σ²).
  const throughStatistics = (dx: Value): Value => {
    const { xHat, inverse } = parts();
    let sum = dx;
    if (g.hasGrad(1)) sum = g.add(sum, g.mul(g.grad(1), share()));
    if (g.hasGrad(2)) {
      const along = g.mul(g.mul(g.grad(2), g.square(inverse)), share());
      sum = g.sub(sum, g.mul(along, xHat));
    }
    return sum;
  };
  return [
    () => throughStatistics(throughNormalized(g, g.mul(g.grad(), g.input(1)), parts(), axes)),
    () => g.sumTo(g.mul(g.grad(), parts().xHat), node.output(), node.input(1)),
    bias && (() => g.sumTo(g.grad(), node.output(), bias)),
  ];
});

/** 1 / n for statistics of n elements each. */
function inverseCount(g: GradientEmitter, x: Value, statistic: Value): Value {
  return g.div(g.cast(g.op('Size', [statistic])), g.cast(g.op('Size', [x])));
}

/** x / sqrt(mean(x²) + epsilon) times the scale. */
const rmsNormalization = rule((g, node) => {
  const rank = g.rankOf(node.input(0));
  const axes = range((node.int('axis', -1) + rank) % rank, rank);
  const parts = () => normalize(g, g.input(0), axes, node.float('epsilon', 1e-5), false);
  return [
    () => throughNormalized(g, g.mul(g.grad(), g.input(1)), parts(), axes, false),
    () => g.sumTo(g.mul(g.grad(), parts().xHat), node.output(), node.input(1)),
  ];
});

const instanceNormalization = rule((g, node) => {
  const rank = g.rankOf(node.input(0));
  const axes = range(2, rank);
  const parts = () => normalize(g, g.input(0), axes, node.float('epsilon', 1e-5));
  return [
    () => {
      const gradient = g.mul(g.grad(), perChannel(g, g.input(1), rank));
      return throughNormalized(g, gradient, parts(), axes);
    },
    () => g.reduce('ReduceSum', g.mul(g.grad(), parts().xHat), notChannels(rank), false),
    () => g.reduce('ReduceSum', g.grad(), notChannels(rank), false),
  ];
});

/** Scale and bias per channel from opset 21 on, per group before. */
const groupNormalization = rule((g, node) => {
  const x = node.input(0);
  const rank = g.rankOf(x);
  const groups = node.int('num_groups');
  const isPerChannel = node.input(1).dims?.[0] === x.dims?.[1] || groups === x.dims?.[1];
  const grouped = (value: Value) => g.reshape(value, [0, groups, -1]);
  const parts = () => normalize(g, grouped(g.input(0)), [2], node.float('epsilon', 1e-5));
  const summed = (value: () => Value) =>
    isPerChannel
      ? g.reduce('ReduceSum', g.reshapeLike(value(), x), notChannels(rank), false)
      : g.reduce('ReduceSum', grouped(value()), [0, 2], false);
  return [
    () => {
      const gradient = isPerChannel
        ? grouped(g.mul(g.grad(), perChannel(g, g.input(1), rank)))
        : g.mul(grouped(g.grad()), g.reshape(g.input(1), [-1, 1]));
      return g.reshapeLike(throughNormalized(g, gradient, parts(), [2]), x);
    },
    () => summed(() => g.mul(grouped(g.grad()), parts().xHat)),
    () => summed(() => g.grad()),
  ];
});

/**
 * With running statistics x̂ is linear in x; with those of the batch it is a normalization over
 * all axes but the channels.
 */
const batchNormalization = rule((g, node) => {
  const rank = g.rankOf(node.input(0));
  const axes = notChannels(rank);
  const epsilon = node.float('epsilon', 1e-5);
  const isTraining = node.int('training_mode', 0) === 1;
  const parts = (): Normalized => {
    if (isTraining) return normalize(g, g.input(0), axes, epsilon);
    const variance = perChannel(g, g.input(4), rank);
    const inverse = g.div(1, g.op('Sqrt', [g.add(variance, epsilon)]));
    const centered = g.sub(g.input(0), perChannel(g, g.input(3), rank));
    return { xHat: g.mul(centered, inverse), inverse };
  };
  const total = (value: Value) => g.reduce('ReduceSum', value, axes, false);
  const scaled = () => g.mul(g.grad(), perChannel(g, g.input(1), rank));
  const momentum = node.float('momentum', 0.9);
  const fresh = (index: number) =>
    g.mul(
      perChannel(g, g.grad(index), rank),
      g.mul(inverseCount(g, node.input(0), node.input(1)), 1 - momentum),
    );
  /** Running statistics move by 1 - momentum towards those of the batch. */
  const throughRunning = (dx: Value): Value => {
    let sum = dx;
    if (g.hasGrad(1)) sum = g.add(sum, fresh(1));
    if (g.hasGrad(2)) {
      const { xHat, inverse } = parts();
      sum = g.add(sum, g.mul(fresh(2), g.mul(g.div(xHat, inverse), 2)));
    }
    return sum;
  };
  return [
    () => {
      if (isTraining) {
        return throughRunning(throughNormalized(g, scaled(), parts(), axes));
      }
      // One factor per channel, and one pass over the activation.
      const inverse = g.div(1, g.op('Sqrt', [g.add(g.input(4), epsilon)]));
      return g.mul(g.grad(), perChannel(g, g.mul(g.input(1), inverse), rank));
    },
    () => total(g.mul(g.grad(), parts().xHat)),
    () => total(g.grad()),
    isTraining
      ? g.hasGrad(1)
        ? () => g.mul(g.grad(1), momentum)
        : undefined
      : () => g.neg(total(g.mul(scaled(), parts().inverse))),
    isTraining
      ? g.hasGrad(2)
        ? () => g.mul(g.grad(2), momentum)
        : undefined
      : () => {
          const { xHat, inverse } = parts();
          return g.mul(total(g.mul(g.mul(scaled(), xHat), g.square(inverse))), -0.5);
        },
  ];
});

/** y = x / |x|: the part of dy along y, in the dual norm, is taken out. */
const lpNormalization = rule((g, node) => [
  () => {
    const axes = [node.int('axis', -1)];
    const [x, y, dy] = [g.input(), g.output(), g.grad()];
    const isL1 = node.int('p', 2) === 1;
    const norm = g.reduce(isL1 ? 'ReduceL1' : 'ReduceL2', x, axes);
    const along = g.reduce('ReduceSum', g.mul(dy, y), axes);
    const gradient = g.sub(dy, g.mul(isL1 ? g.op('Sign', [x]) : y, along));
    return g.where(g.op('Equal', [norm, 0]), 0, g.div(gradient, norm));
  },
]);

/** (x - mean) / (σ + 1e-9). */
const meanVariance = expand((e, node) => {
  const axes = node.ints('axes', [0, 2, 3]);
  const centered = e.sub(node.input(0), e.reduce('ReduceMean', node.input(0), axes));
  const deviation = e.op('Sqrt', [e.reduce('ReduceMean', e.square(centered), axes)]);
  return [e.div(centered, e.add(deviation, 1e-9))];
});

/** Input + skip + bias, then LayerNormalization; the sum is output 3. */
const skipLayerNormalization = (isCentered: boolean): OperatorGradient =>
  expand((e, node) => {
    const bias = node.inputs[isCentered ? 4 : 3];
    const joined = e.add(node.input(0), node.input(1));
    const sum = bias ? e.add(joined, bias) : joined;
    const epsilon = node.float('epsilon');
    if (node.outputs[1] || node.outputs[2]) {
      throw new NoGradient('its outputs mean and inverse deviation are used');
    }
    if (!isCentered) {
      const mean = e.reduce('ReduceMean', e.square(sum), [-1]);
      const root = e.op('Sqrt', [e.add(mean, epsilon)]);
      return [e.mul(e.div(sum, root), node.input(2)), undefined, undefined, sum];
    }
    const normalized = e.op('LayerNormalization', [sum, node.input(2), node.inputs[3]], {
      axis: -1,
      epsilon: { type: 'float', value: epsilon },
    });
    return [normalized, undefined, undefined, sum];
  });

export const normalizationGradients: GradientTable = Object.freeze({
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
  SimplifiedLayerNormalization: rmsNormalization,
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
  BatchNormalization: batchNormalization,
  LpNormalization: lpNormalization,
  MeanVarianceNormalization: meanVariance,
  'com.microsoft:SkipLayerNormalization': skipLayerNormalization(true),
  'com.microsoft:SkipSimplifiedLayerNormalization': skipLayerNormalization(false),
});
