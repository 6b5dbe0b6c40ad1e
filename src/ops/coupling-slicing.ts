/**
 * Coupling of operators that take or add parts of an axis: labels are taken and added alike, and
 * sizes, bounds and indices that the node has stored are counted anew after a cut.
 * Source: the ONNX operator specification.
 */
import {
  axisOf,
  type CouplingRule,
  type CouplingRules,
  type CutScope,
  countKept,
  joinLabels,
  type LabelScope,
} from './coupling-rule.js';

/** Sizes become explicit, since equal parts need not stay equal. */
const split: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    const axis = axisOf(scope, labels.length, 0);
    if (scope.has(1)) scope.fixInput(1, 'it says sizes');
    if (scope.has(1) && !scope.numbers(1)) scope.fix(labels[axis]!, 'the sizes are computed');
    let at = 0;
    scope.node.outputs.forEach((output, index) => {
      if (!output) {
        scope.fix(labels[axis]!, 'an output is left out');
        return;
      }
      const size = scope.outDims(index)[axis]!;
      scope.set(
        labels.map((own, each) => (each === axis ? own.slice(at, at + size) : own)),
        index,
      );
      at += size;
    });
  },
  rewrite(scope) {
    const axis = axisOf(scope, scope.dims(0).length, 0);
    if (!scope.kept(0, axis)) return;
    const sizes = scope.node.outputs.map((_, index) =>
      countKept(scope.keptOut(axis, index), scope.outDims(index)[axis]!),
    );
    scope.node.removeAttribute('num_outputs');
    const asAttribute = (scope.node.graph?.opset() ?? 13) < 13;
    if (asAttribute) scope.node.setAttribute('split', sizes);
    else scope.setNumbers(1, sizes);
  },
  zeros: { all: [0] },
};

interface Bounds {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  readonly steps: readonly number[];
}

/** Inputs since opset 10, attributes before; undefined where they are computed. */
function boundsOf(scope: LabelScope | CutScope, rank: number): Bounds | undefined {
  const { node } = scope;
  const old = node.has('starts');
  const starts = old ? node.ints('starts') : scope.numbers(1);
  const ends = old ? node.ints('ends') : scope.numbers(2);
  if (!starts || !ends) return undefined;
  const all = [...starts.keys()];
  const axes = old ? node.ints('axes', all) : scope.has(3) ? scope.numbers(3) : all;
  const steps = scope.has(4) ? scope.numbers(4) : starts.map(() => 1);
  if (!axes || !steps) return undefined;
  return { starts, ends, axes: axes.map((axis) => (axis < 0 ? axis + rank : axis)), steps };
}

/** A bound counted from the front and clamped. */
function clamp(bound: number, size: number): number {
  return Math.min(Math.max(bound < 0 ? bound + size : bound, 0), size);
}

const slice: CouplingRule = {
  couple(scope) {
    const labels = [...scope.labels(0)];
    for (let i = 1; i < scope.node.inputs.length; i++) {
      if (scope.has(i)) scope.fixInput(i, 'it says bounds');
    }
    const bounds = boundsOf(scope, labels.length);
    if (!bounds) {
      const axes = scope.has(3) ? scope.numbers(3) : undefined;
      labels.forEach((own, axis) => {
        const isSliced = !axes || axes.some((a) => (a < 0 ? a + labels.length : a) === axis);
        if (!isSliced) return;
        scope.fix(own, 'the bounds are computed');
        labels[axis] = scope.fixed(scope.outDims()[axis]!, 'the bounds are computed');
      });
      return scope.set(labels);
    }
    bounds.axes.forEach((axis, k) => {
      const own = labels[axis]!;
      const step = bounds.steps[k]!;
      if (step === 1) {
        const from = clamp(bounds.starts[k]!, own.length);
        labels[axis] = own.slice(from, Math.max(from, clamp(bounds.ends[k]!, own.length)));
      } else {
        scope.fix(own, `it takes every ${step}th index`);
        labels[axis] = scope.fixed(scope.outDims()[axis]!);
      }
    });
    scope.set(labels);
  },
  rewrite(scope) {
    const dims = scope.dims(0);
    const bounds = boundsOf(scope, dims.length);
    if (!bounds) return;
    const starts = [...bounds.starts];
    const ends = [...bounds.ends];
    let changed = false;
    bounds.axes.forEach((axis, k) => {
      const mask = scope.kept(0, axis);
      if (!mask) return;
      changed = true;
      starts[k] = countKept(mask.subarray(0, clamp(starts[k]!, mask.length)), 0);
      ends[k] = countKept(mask.subarray(0, clamp(ends[k]!, mask.length)), 0);
    });
    if (!changed) return;
    if (scope.node.has('starts')) {
      scope.node.setAttribute('starts', starts);
      scope.node.setAttribute('ends', ends);
    } else {
      scope.setNumbers(1, starts);
      scope.setNumbers(2, ends);
    }
  },
  zeros: { all: [0] },
};

/** Constant indices choose labels and are counted anew; a table that is looked up stays as long. */
const gather: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    const axis = axisOf(scope, labels.length, 0);
    const own = labels[axis]!;
    const indices = scope.numbers(1);
    const indexLabels = scope.labels(1);
    const before = labels.slice(0, axis);
    const after = labels.slice(axis + 1);
    scope.side(0, labels.length - 1, axis === labels.length - 1 ? 'other' : 'out');
    for (const each of indexLabels) scope.fix(each, 'it holds indices');
    if (indices && indexLabels.length <= 1) {
      const chosen = Int32Array.from(indices, (i) => own[i < 0 ? i + own.length : i]!);
      // A single index leaves no axis that could shrink, repeated ones would leave together anyway.
      if (indexLabels.length === 0) scope.fix(chosen, 'it is chosen by its index');
      return scope.set([...before, ...(indexLabels.length === 1 ? [chosen] : []), ...after]);
    }
    scope.fix(own, 'it is looked up by index');
    const middle = indexLabels.map((each) => scope.fixed(each.length, 'it is looked up by index'));
    scope.set([...before, ...middle, ...after]);
  },
  rewrite(scope) {
    const axis = axisOf(scope, scope.dims(0).length, 0);
    const mask = scope.kept(0, axis);
    const indices = scope.numbers(1);
    if (!mask || !indices) return;
    const place = placesOf(mask);
    const front = indices.map((i) => (i < 0 ? i + mask.length : i));
    scope.setNumbers(
      1,
      front.filter((i) => mask[i] === 1).map((i) => place[i]!),
    );
  },
  zeros: { all: [0] },
};

/** Where each kept index goes. */
function placesOf(mask: Uint8Array): Int32Array {
  let kept = 0;
  return Int32Array.from(mask, (keep) => (keep ? kept++ : -1));
}

const pad: CouplingRule = {
  couple(scope) {
    for (let i = 1; i < scope.node.inputs.length; i++) {
      if (scope.has(i)) scope.fixInput(i, 'it says sizes');
    }
    const labels = scope.labels(0);
    const pads = paddingOf(scope, labels.length);
    // What is padded with zeros can lose them, where the result is added to something narrower.
    const isZero =
      scope.node.string('mode', 'constant') === 'constant' &&
      (scope.has(2) ? scope.numbers(2)?.[0] : scope.node.float('value', 0)) === 0;
    scope.set(
      labels.map((own, axis) => {
        const around = pads?.[axis];
        if (around && around.before === 0 && around.after === 0) return own;
        if (around && isZero && around.before >= 0 && around.after >= 0) {
          return joinLabels([scope.free(around.before), own, scope.free(around.after)]);
        }
        scope.fix(own, 'it is padded');
        return scope.fixed(scope.outDims()[axis]!, 'it is padded');
      }),
    );
  },
  rewrite(scope) {
    const pads = paddingOf(scope, scope.dims(0).length);
    if (!pads) return;
    const counted = pads.map(({ before, after }, axis) => {
      const mask = scope.keptOut(axis);
      if (!mask) return { before, after };
      return {
        before: countKept(mask.subarray(0, before), 0),
        after: countKept(mask.subarray(mask.length - after), 0),
      };
    });
    if (counted.every((each, axis) => samePads(each, pads[axis]!))) return;
    const axes = scope.has(3) ? scope.numbers(3)! : [...pads.keys()];
    const ordered = axes.map((axis) => counted.at(axis)!);
    const list = [...ordered.map(({ before }) => before), ...ordered.map(({ after }) => after)];
    if (scope.node.has('pads')) scope.node.setAttribute('pads', list);
    else scope.setNumbers(1, list);
  },
  zeros: { all: [0] },
};

function samePads(a: Padding, b: Padding): boolean {
  return a.before === b.before && a.after === b.after;
}

interface Padding {
  readonly before: number;
  readonly after: number;
}

/** Elements added at both ends of each axis, negative where they are taken. */
function paddingOf(scope: LabelScope | CutScope, rank: number): Padding[] | undefined {
  const pads = scope.node.has('pads') ? scope.node.ints('pads') : scope.numbers(1);
  const axes = scope.has(3) ? scope.numbers(3) : [...Array(rank).keys()];
  if (!pads || !axes) return undefined;
  const found = new Array<Padding>(rank).fill({ before: 0, after: 0 });
  axes.forEach((axis, k) => {
    found[axis < 0 ? axis + rank : axis] = { before: pads[k]!, after: pads[k + axes.length]! };
  });
  return found;
}

export const slicingCoupling: CouplingRules = Object.freeze({
  Split: split,
  Slice: slice,
  Gather: gather,
  Pad: pad,
});
