/**
 * Coupling of operators that move elements without computing: labels move along. Source: the ONNX operator specification.
 */
import {
  axisOf,
  type CouplingRule,
  type CouplingRules,
  countKept,
  fixAll,
  joinLabels,
  type Labels,
} from './coupling-rule.js';

const transpose: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    const perm = scope.node.ints('perm', [...labels.keys()].reverse());
    scope.set(perm.map((axis) => labels[axis]!));
  },
  zeros: { all: [0] },
};

/** Axes of size 1 come and go; the others keep their order. */
const changeOnes: CouplingRule = {
  couple(scope) {
    const rest = scope.labels(0).filter((labels) => labels.length !== 1);
    for (let i = 1; i < scope.node.inputs.length; i++) scope.fixInput(i, 'it names axes');
    scope.set(scope.outDims().map((size) => (size === 1 ? scope.fixed(1) : rest.shift()!)));
  },
  zeros: { all: [0] },
};

const concat: CouplingRule = {
  couple(scope) {
    const inputs = [...scope.node.inputs.keys()];
    const all = inputs.map((input) => scope.labels(input));
    const axis = axisOf(scope, all[0]!.length, 1);
    scope.set(
      all[0]!.map((first, at) => {
        if (at === axis) return joinLabels(all.map((labels) => labels[at]!));
        for (const labels of all.slice(1)) scope.unify(first, labels[at]!);
        return first;
      }),
    );
  },
  zeros: 'all',
};

/** Axes that keep their size pass; the stretched ones stay. */
const expand: CouplingRule = {
  couple(scope) {
    const dims = scope.outDims();
    const labels = scope.labels(0);
    const offset = dims.length - labels.length;
    const entries = scope.dims(1)[0] ?? 0;
    scope.set(
      dims.map((size, axis) => {
        const own = labels[axis - offset];
        const entry = axis - (dims.length - entries);
        if (own?.length !== size) return scope.fixed(size, 'it is stretched');
        if (entry >= 0) scope.sizedBy(1, entry, own);
        return own;
      }),
    );
    scope.fixInput(1, 'it says sizes');
  },
  rewrite(scope) {
    const dims = scope.outDims();
    const offset = dims.length - scope.dims(1)[0]!;
    const numbers = scope.numbers(1);
    dims.forEach((size, axis) => {
      const mask = scope.keptOut(axis);
      // A size of 1 in the shape leaves the axis to the data.
      if (!mask || axis < offset || numbers?.[axis - offset] === 1) return;
      scope.setEntry(1, axis - offset, countKept(mask, size));
    });
  },
  zeros: { all: [0] },
};

const tile: CouplingRule = {
  couple(scope) {
    scope.fixInput(1, 'it says sizes');
    const repeats = scope.numbers(1);
    scope.set(
      scope.labels(0).map((own, axis) => {
        const size = scope.outDims()[axis]!;
        if (size === own.length && repeats?.[axis] === 1) return own;
        if (repeats) return joinLabels(new Array<Labels>(repeats[axis]!).fill(own));
        scope.fix(own, 'the repeats are computed');
        return scope.fixed(size, 'the repeats are computed');
      }),
    );
  },
  zeros: { all: [0] },
};

/** Blocks of channels become space: the channels of one block leave together. */
const depthToSpace: CouplingRule = {
  couple(scope) {
    const [batch, channels, ...spatial] = scope.labels(0) as [Labels, Labels, ...Labels[]];
    const block = scope.node.int('blocksize') ** 2;
    const out = channels.length / block;
    const isCrd = scope.node.string('mode', 'DCR') === 'CRD';
    const kept = isCrd
      ? Int32Array.from({ length: out }, (_, k) => channels[k * block]!)
      : channels.slice(0, out);
    channels.forEach((label, i) => {
      scope.tie(kept[isCrd ? Math.floor(i / block) : i % out]!, label);
    });
    for (const labels of spatial) scope.fix(labels, 'it is made of blocks');
    const dims = scope.outDims().slice(2);
    scope.set([batch, kept, ...dims.map((size) => scope.fixed(size, 'it is made of blocks'))]);
  },
  zeros: { all: [0] },
};

const spaceToDepth: CouplingRule = {
  couple(scope) {
    const [batch, channels, ...spatial] = scope.labels(0) as [Labels, Labels, ...Labels[]];
    const block = scope.node.int('blocksize') ** 2;
    for (const labels of spatial) scope.fix(labels, 'it is cut into blocks');
    const dims = scope.outDims().slice(2);
    scope.set([
      batch,
      joinLabels(new Array<Labels>(block).fill(channels)),
      ...dims.map((size) => scope.fixed(size, 'it is cut into blocks')),
    ]);
  },
  zeros: { all: [0] },
};

/** The last two axes are a matrix of which places matter. */
const trilu: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    for (const own of labels.slice(-2)) scope.fix(own, 'places in a triangle count');
    if (scope.has(1)) scope.fixInput(1, 'it says a diagonal');
    scope.set(labels);
  },
  zeros: { all: [0] },
};

/** One axis counts by places, the others pass. */
function alongAxis(fallback: number, reason: string): CouplingRule {
  return {
    couple(scope) {
      const labels = scope.labels(0);
      for (let i = 1; i < scope.node.inputs.length; i++) {
        if (scope.has(i)) scope.fixInput(i, reason);
      }
      const chosen = scope.has(1) ? scope.numbers(1)?.[0] : undefined;
      const given = scope.node.has('axis') ? scope.node.int('axis') : (chosen ?? fallback);
      const axis = given < 0 ? given + labels.length : given;
      if (axis >= labels.length) return fixAll(scope, reason);
      scope.fix(labels[axis]!, reason);
      scope.set(labels);
    },
    zeros: { all: [0] },
  };
}

export const movementCoupling: CouplingRules = Object.freeze({
  Transpose: transpose,
  Squeeze: changeOnes,
  Unsqueeze: changeOnes,
  Concat: concat,
  Expand: expand,
  Tile: tile,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Trilu: trilu,
  CumSum: alongAxis(0, 'it is summed up place by place'),
});
