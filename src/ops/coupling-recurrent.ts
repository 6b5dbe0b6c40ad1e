/**
 * Coupling of LSTM, GRU and RNN: a hidden unit is one row of every gate, one column of the
 * recurrence, its biases and its place in the states; both directions share the units, since they
 * share `hidden_size`. Source: the ONNX operator specification.
 */
import {
  type CouplingRule,
  type CouplingRules,
  countKept,
  type LabelScope,
  type Labels,
} from './coupling-rule.js';

/** The number of gates follows from the sizes. Inputs: 0 x, 1 weights [d, gates h, in], 2 recurrence [d, gates h, h], 3 bias [d, 2 gates h]. */
const recurrent: CouplingRule = {
  couple(scope) {
    const units = scope.labels(2)[2]!;
    scope.kind(units, 'hidden');
    scope.unify(scope.labels(0).at(-1)!, scope.labels(1)[2]!);
    scope.sums(scope.labels(1)[2]!, [0, 1], 'any');
    perGate(scope, scope.labels(1)[1]!, units);
    perGate(scope, scope.labels(2)[1]!, units);
    if (scope.has(3)) perGate(scope, scope.labels(3)[1]!, units);
    for (const input of [1, 2]) {
      scope.side(input, 1, 'out');
      scope.side(input, 2, 'in');
      scope.fix(scope.labels(input)[0]!, 'it counts directions');
    }
    if (scope.has(3)) scope.fix(scope.labels(3)[0]!, 'it counts directions');
    if (scope.has(4)) scope.fixInput(4, 'it holds lengths');
    for (const state of [5, 6]) {
      if (!scope.has(state)) continue;
      const labels = scope.labels(state);
      scope.unify(labels.at(-1)!, units);
      for (const own of labels.slice(0, -1)) scope.fix(own, 'it counts directions and samples');
    }
    if (scope.has(7)) {
      perGate(scope, scope.labels(7)[1]!, units);
      scope.fix(scope.labels(7)[0]!, 'it counts directions');
    }
    // Clipping, other activations: element by element all the same.
    for (const own of scope.labels(0).slice(0, -1)) scope.fix(own, 'it is walked along');
    scope.node.outputs.forEach((output, index) => {
      if (!output) return;
      const dims = scope.outDims(index);
      scope.set(
        dims.map((size, axis) => (axis === dims.length - 1 ? units : scope.fixed(size))),
        index,
      );
    });
  },
  rewrite(scope) {
    const mask = scope.kept(2, 2);
    if (mask) scope.node.setAttribute('hidden_size', countKept(mask, mask.length));
  },
  zeros: { all: [1, 2, 3] },
};

function perGate(scope: LabelScope, labels: Labels, units: Labels): void {
  labels.forEach((label, i) => {
    scope.tie(units[i % units.length]!, label);
  });
}

export const recurrentCoupling: CouplingRules = Object.freeze({
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
});
