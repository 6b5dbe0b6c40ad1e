/**
 * Coupling of normalizations and Softmax. Statistics over one channel leave it free; statistics
 * over the width do not: a cut changes them, exactly known for the root mean square, where a rescale
 * makes up for it. Source: the ONNX operator specification and ONNX Runtime's contrib operators.
 *
 * RMS: with n of the indices zero anyway and n' kept, mean(x^2) over n is n'/n of that over n', so
 * gamma' = gamma sqrt(n/n'), epsilon' = epsilon n/n'. Nothing of the kind exists for the mean.
 */
import { floatAttribute } from '../graph/attribute.js';
import { alongResult, vector } from './coupling-contraction.js';
import {
  axisOf,
  type CouplingRule,
  type CouplingRules,
  type CutScope,
  countKept,
  fixAll,
  type Labels,
} from './coupling-rule.js';

const channelwise: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    const channels = labels[1] ?? scope.fixed(1);
    for (let i = 1; i < scope.node.inputs.length; i++) vector(scope, i, channels);
    if (scope.node.outputs.slice(1).some((output) => output)) {
      scope.fix(channels, 'its statistics are outputs');
    }
    scope.set(labels);
  },
  zeros: { all: [1, 2] },
};

const instance: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    for (let axis = 2; axis < labels.length; axis++) scope.normalizes(0, axis, false);
    for (const i of [1, 2]) vector(scope, i, labels[1]);
    scope.set(labels);
  },
  zeros: { all: [1, 2] },
};

/** Groups leave as a whole, so that the statistics of the others stay. */
const group: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    const channels = labels[1]!;
    const groups = scope.node.int('num_groups');
    const size = channels.length / groups;
    for (let c = 0; c < channels.length; c++) {
      scope.tie(channels[c]!, channels[c - (c % size)]!);
    }
    for (const i of [1, 2]) {
      const own = scope.labels(i)[0]!;
      // One number per group before opset 21.
      const per = channels.length / own.length;
      for (let k = 0; k < own.length; k++) scope.tie(own[k]!, channels[k * per]!);
    }
    for (let axis = 2; axis < labels.length; axis++) scope.normalizes(0, axis, false);
    scope.kind(channels, 'groups');
    scope.set(labels);
  },
  rewrite(scope) {
    const mask = scope.kept(0, 1);
    if (!mask) return;
    const size = mask.length / scope.node.int('num_groups');
    scope.node.setAttribute('num_groups', countKept(mask, mask.length) / size);
  },
  zeros: { all: [1, 2] },
};

/** `skip`: inputs that are added first; `sum`: the output that is that sum. */
interface LayerNormLayout {
  readonly data: readonly number[];
  readonly parameters: readonly number[];
  readonly gamma: number;
  readonly exact: boolean;
  readonly sum?: number;
  /** The axis is the last one and no attribute. */
  readonly last?: boolean;
}

function layerNorm(layout: LayerNormLayout): CouplingRule {
  const [x = 0, ...skips] = layout.data;
  return {
    couple(scope) {
      const labels = scope.labels(x);
      for (const skip of skips) if (scope.has(skip)) alongResult(scope, skip, labels);
      for (const input of layout.parameters) {
        if (scope.has(input)) alongResult(scope, input, labels);
      }
      const first = layout.last ? labels.length - 1 : axisOf(scope, labels.length, -1);
      for (let axis = first; axis < labels.length; axis++) {
        scope.normalizes(x, axis, layout.exact);
      }
      scope.set(labels);
      if (layout.sum !== undefined && scope.node.outputs[layout.sum]) scope.set(labels, layout.sum);
    },
    zeros: layout.exact ? { any: [x, layout.gamma] } : { all: layout.parameters },
    ...(layout.exact && {
      rescale(scope: CutScope, before: number, after: number) {
        const epsilon = scope.node.float('epsilon', 1e-5);
        scope.node.setAttribute('epsilon', floatAttribute((epsilon * before) / after));
        scope.scaleInput(layout.gamma, Math.sqrt(before / after));
      },
    }),
  };
}

const softmax: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    const coerces = (scope.node.graph?.opset() ?? 13) < 13;
    const axis = axisOf(scope, labels.length, coerces ? 1 : -1);
    const end = coerces ? labels.length : axis + 1;
    for (let each = axis; each < end; each++) scope.normalizes(0, each, false);
    scope.set(labels);
  },
};

const overChosenAxes: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    for (const axis of scope.node.ints('axes', [0, 2, 3])) {
      scope.normalizes(0, axis < 0 ? axis + labels.length : axis, false);
    }
    scope.set(labels);
  },
};

/** x divided by its norm: a sum, to which what is zero adds nothing. */
const byNorm: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    scope.sums(labels[axisOf(scope, labels.length, -1)]!, [0], 'all');
    scope.set(labels);
  },
  zeros: { all: [0] },
};

const embedding: CouplingRule = {
  couple(scope) {
    // input_ids, segment_ids, three tables, gamma, beta, mask, position_ids
    const width = scope.labels(2)[1]!;
    const tables = [2, 3, 4].filter((i) => scope.has(i));
    for (const i of tables) {
      const [rows, columns] = scope.labels(i) as [Labels, Labels];
      scope.fix(rows, 'it is looked up by index');
      scope.unify(width, columns);
      scope.side(i, 1, 'out');
    }
    for (const i of [5, 6]) vector(scope, i, width);
    for (const i of [0, 1, 7, 8]) if (scope.has(i)) scope.fixInput(i, 'it is an index');
    scope.normalizes(2, 1, false);
    const shape = scope.outDims();
    scope.set([scope.fixed(shape[0]!), scope.fixed(shape[1]!), width]);
    const sum = scope.node.outputs.length - 1;
    if (sum >= 2 && scope.node.outputs[sum]) {
      const dims = scope.outDims(sum);
      if (dims.length === 3) scope.set([scope.fixed(dims[0]!), scope.fixed(dims[1]!), width], sum);
      else fixAll(scope, 'its third output is not followed');
    }
  },
};

const rms = layerNorm({ data: [0], parameters: [1], gamma: 1, exact: true });

export const normalizationCoupling: CouplingRules = Object.freeze({
  BatchNormalization: channelwise,
  InstanceNormalization: instance,
  GroupNormalization: group,
  LayerNormalization: layerNorm({ data: [0], parameters: [1, 2], gamma: 1, exact: false }),
  RMSNormalization: rms,
  SimplifiedLayerNormalization: rms,
  'com.microsoft:SimplifiedLayerNormalization': rms,
  'com.microsoft:SkipLayerNormalization': layerNorm({
    data: [0, 1],
    parameters: [2, 3, 4],
    gamma: 2,
    exact: false,
    sum: 3,
    last: true,
  }),
  'com.microsoft:SkipSimplifiedLayerNormalization': layerNorm({
    data: [0, 1],
    parameters: [2, 3],
    gamma: 2,
    exact: true,
    sum: 3,
    last: true,
  }),
  'com.microsoft:EmbedLayerNormalization': embedding,
  Softmax: softmax,
  LogSoftmax: softmax,
  Hardmax: softmax,
  MeanVarianceNormalization: overChosenAxes,
  LpNormalization: byNorm,
});
