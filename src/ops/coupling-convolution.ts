/**
 * Coupling of convolutions, pooling and resizing: channels lie on axis 1, windows slide over the
 * axes behind it, which therefore stay. Source: the ONNX operator specification and ONNX Runtime's
 * contrib operator list.
 *
 * A depthwise convolution is as wide as its input; its `group` follows. Other grouped convolutions
 * keep their number of groups and lose the same places of every group.
 */
import { alongResult, vector } from './coupling-contraction.js';
import {
  type CouplingRule,
  type CouplingRules,
  type CutScope,
  countKept,
  fixAll,
  type LabelScope,
  type Labels,
} from './coupling-rule.js';

interface ConvLayout {
  readonly x: number;
  readonly w: number;
  readonly bias?: number;
  /** One number per output channel, or one for all. */
  readonly channels?: readonly number[];
  /** Added to the result (FusedConv). */
  readonly residual?: number;
  /** Of the weight, one for all or one per output channel. */
  readonly zeroPoint?: number;
}

const window = 'a window slides over it';

function convolution(layout: ConvLayout): CouplingRule {
  const { x, w, bias, residual, zeroPoint } = layout;
  return {
    couple(scope) {
      const channels = scope.dims(x)[1]!;
      const [out = 0, perGroup = 0] = scope.dims(w);
      const group = scope.node.int('group', 1);
      const input = scope.labels(x)[1]!;
      const [rows, columns] = scope.labels(w) as [Labels, Labels];
      for (const kernel of scope.labels(w).slice(2)) scope.fix(kernel, window);
      scope.side(w, 0, 'out');
      if (group === 1) {
        scope.unify(input, columns);
        scope.side(w, 1, 'in');
        scope.sums(columns, [x, w], 'any');
      } else if (perGroup === 1) {
        scope.fix(columns, 'it is one channel deep');
        const multiple = out / channels;
        for (let m = 0; m < out; m++) scope.tie(input[Math.floor(m / multiple)]!, rows[m]!);
      } else {
        const outPerGroup = out / group;
        for (let c = 0; c < channels; c++) scope.tie(input[c]!, columns[c % perGroup]!);
        for (let m = 0; m < out; m++) scope.tie(rows[m]!, rows[m % outPerGroup]!);
        scope.side(w, 1, 'in');
        scope.sums(columns, [x, w], 'any');
      }
      finish(scope, layout, rows);
    },
    rewrite(scope) {
      if (scope.dims(w)[1] === 1 && scope.node.int('group', 1) > 1) {
        writeGroups(scope, countKept(scope.kept(x, 1), scope.dims(x)[1]!));
      }
    },
    ...(zeroPoint !== undefined && { zeroPoints: [{ of: w, by: zeroPoint, axis: () => 0 }] }),
    zeros: {
      any: [x, w],
      all: [...(bias === undefined ? [] : [bias]), ...(residual === undefined ? [] : [residual])],
    },
  };
}

/** The weight is [in, out/group, ...]. */
const transposed: CouplingRule = {
  couple(scope) {
    const [channels = 0, outPerGroup = 0] = scope.dims(1);
    const group = scope.node.int('group', 1);
    const perGroup = channels / group;
    const input = scope.labels(0)[1]!;
    const [rows, columns] = scope.labels(1) as [Labels, Labels];
    for (const kernel of scope.labels(1).slice(2)) scope.fix(kernel, window);
    scope.unify(input, rows);
    let out = columns;
    if (group === 1) {
      scope.side(1, 0, 'in');
      scope.side(1, 1, 'out');
      scope.sums(rows, [0, 1], 'any');
    } else if (perGroup === 1) {
      scope.side(1, 0, 'out');
      scope.fix(columns, 'it is shared by all groups');
      out = Int32Array.from(
        { length: group * outPerGroup },
        (_, i) => rows[Math.floor(i / outPerGroup)]!,
      );
    } else {
      for (let c = 0; c < channels; c++) scope.tie(rows[c]!, rows[c % perGroup]!);
      out = Int32Array.from({ length: group * outPerGroup }, (_, i) => columns[i % outPerGroup]!);
      scope.side(1, 0, 'in');
      scope.side(1, 1, 'out');
      scope.sums(rows, [0, 1], 'any');
    }
    finish(scope, { x: 0, w: 1, bias: 2 }, out);
  },
  rewrite(scope) {
    const group = scope.node.int('group', 1);
    if (group > 1 && scope.dims(1)[0] === group) {
      writeGroups(scope, countKept(scope.kept(0, 1), group));
    }
  },
  zeros: { any: [0, 1], all: [2] },
};

function writeGroups(scope: CutScope, group: number): void {
  if (group !== scope.node.int('group', 1)) scope.node.setAttribute('group', group);
}

function finish(scope: LabelScope, layout: ConvLayout, channels: Labels): void {
  const { x, w, bias, residual, channels: perChannel = [] } = layout;
  const [batch, , ...spatial] = scope.labels(x) as [Labels, Labels, ...Labels[]];
  for (const labels of spatial) scope.fix(labels, window);
  const result = [
    batch,
    channels,
    ...scope
      .outDims()
      .slice(2)
      .map((size) => scope.fixed(size, window)),
  ];
  scope.set(result);
  if (bias !== undefined) vector(scope, bias, channels);
  for (const input of perChannel) vector(scope, input, channels);
  if (residual !== undefined && scope.has(residual)) alongResult(scope, residual, result);
  const known = [x, w, bias, residual, ...perChannel];
  for (let input = 0; input < scope.node.inputs.length; input++) {
    if (scope.has(input) && !known.includes(input)) scope.fixInput(input, 'one number is for all');
  }
}

/** Channels pass, the axes behind them stay. */
const pool: CouplingRule = {
  couple(scope) {
    if (scope.node.outputs[1]) return fixAll(scope, 'its second output counts positions');
    if (scope.node.int('channels_last', 0)) return fixAll(scope, 'its channels come last');
    const [batch, channels, ...spatial] = scope.labels(0) as [Labels, Labels, ...Labels[]];
    for (const labels of spatial) scope.fix(labels, window);
    for (let i = 1; i < scope.node.inputs.length; i++) {
      if (scope.has(i)) scope.fixInput(i, 'one number is for all');
    }
    scope.set([
      batch,
      channels,
      ...scope
        .outDims()
        .slice(2)
        .map((size) => scope.fixed(size, window)),
    ]);
  },
  zeros: { all: [0] },
};

const normalizesNeighbours: CouplingRule = {
  couple(scope) {
    scope.fix(scope.labels(0)[1]!, 'it is normalized by its neighbours');
    scope.set(scope.labels(0));
  },
};

/** An axis that keeps its size is copied, whatever the mode (but for cropping). */
const resize: CouplingRule = {
  couple(scope) {
    const crops = scope.node.string('coordinate_transformation_mode', '') === 'tf_crop_and_resize';
    for (let i = 1; i < scope.node.inputs.length; i++) {
      if (scope.has(i)) scope.fixInput(i, 'it says sizes');
    }
    scope.set(
      scope.labels(0).map((labels, axis) => {
        const size = scope.outDims()[axis]!;
        if (size === labels.length && !crops) {
          sizeEntries(scope, axis, labels);
          return labels;
        }
        scope.fix(labels, 'it is resized');
        return scope.fixed(size, 'it is resized');
      }),
    );
  },
  rewrite(scope) {
    if (!scope.has(3)) return;
    scope.outDims().forEach((size, axis) => {
      const mask = scope.keptOut(axis);
      const entry = sizeEntry(scope, axis);
      if (mask && entry >= 0) scope.setEntry(3, entry, countKept(mask, size));
    });
  },
  zeros: { all: [0] },
};

function sizeEntries(scope: LabelScope, axis: number, labels: Labels): void {
  const entry = sizeEntry(scope, axis);
  if (scope.has(3) && entry >= 0) scope.sizedBy(3, entry, labels);
}

/** Since opset 18 `axes` may name the axes that sizes and scales are for. */
function sizeEntry(scope: LabelScope | CutScope, axis: number): number {
  if (!scope.node.has('axes')) return axis;
  const rank = scope.dims(0).length;
  return scope.node.ints('axes').findIndex((each) => (each < 0 ? each + rank : each) === axis);
}

export const convolutionCoupling: CouplingRules = Object.freeze({
  Conv: convolution({ x: 0, w: 1, bias: 2 }),
  ConvInteger: convolution({ x: 0, w: 1, channels: [3], zeroPoint: 3 }),
  QLinearConv: convolution({ x: 0, w: 3, bias: 8, channels: [4, 5], zeroPoint: 5 }),
  'com.microsoft:FusedConv': convolution({ x: 0, w: 1, bias: 2, residual: 3 }),
  ConvTranspose: transposed,
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: pool,
  GlobalMaxPool: pool,
  GlobalLpPool: pool,
  'com.microsoft:QLinearAveragePool': pool,
  'com.microsoft:QLinearGlobalAveragePool': pool,
  LRN: normalizesNeighbours,
  Resize: resize,
  Upsample: resize,
});
