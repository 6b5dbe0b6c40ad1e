/**
 * Coupling of quantization: element by element, with one scale and zero point for all, per index of
 * an axis, or per block of it. Source: the ONNX operator specification.
 */
import { vector } from './coupling-contraction.js';
import {
  axisOf,
  type CouplingRule,
  type CouplingRules,
  fixAll,
  joinLabels,
  type Labels,
  type Zeros,
} from './coupling-rule.js';

function perAxis(zeros: Zeros, divisors: readonly number[]): CouplingRule {
  return {
    couple(scope) {
      const labels = scope.labels(0);
      const scale = scope.labels(1);
      const axis = axisOf(scope, labels.length, 1);
      for (const input of [1, 2]) {
        if (!scope.has(input)) continue;
        if (scale.length > 1) blocks(scope.labels(input), axis);
        else vector(scope, input, labels[axis]);
      }
      scope.set(labels);

      function blocks(own: readonly Labels[], along: number): void {
        own.forEach((part, each) => {
          const whole = labels[each]!;
          if (each !== along) {
            scope.unify(whole, part);
            return;
          }
          const size = Math.ceil(whole.length / part.length);
          whole.forEach((label, i) => {
            scope.tie(part[Math.floor(i / size)]!, label);
          });
        });
      }
    },
    zeros,
    divisors,
  };
}

const quantize = perAxis({ all: [0] }, [1]);
const dequantize: CouplingRule = {
  ...perAxis({ any: [0, 1] }, []),
  zeroPoints: [{ of: 0, by: 2, axis: (node, rank) => axisOf({ node }, rank, 1) }],
};

/** The scale is that of the largest element: what is zero does not change it. */
const dynamic: CouplingRule = {
  couple(scope) {
    const labels = scope.labels(0);
    for (const own of labels) scope.sums(own, [0], 'all');
    scope.set(labels);
  },
  zeros: { all: [0] },
};

/** Inputs 2, 5, ... are data, each with its scale and zero point. */
const concat: CouplingRule = {
  couple(scope) {
    const data = [...scope.node.inputs.keys()].filter(
      (input) => input >= 2 && (input - 2) % 3 === 0,
    );
    for (const input of scope.node.inputs.keys()) {
      if (scope.has(input) && !data.includes(input)) scope.fixInput(input, 'one number is for all');
    }
    const all = data.map((input) => scope.labels(input));
    const axis = axisOf(scope, all[0]!.length, 0);
    scope.set(
      all[0]!.map((first, at) => {
        if (at === axis) return joinLabels(all.map((labels) => labels[at]!));
        for (const labels of all.slice(1)) scope.unify(first, labels[at]!);
        return first;
      }),
    );
  },
};

const fixed: CouplingRule = {
  couple: (scope) => fixAll(scope, 'its weight is stored in blocks'),
};

export const quantizationCoupling: CouplingRules = Object.freeze({
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamic,
  'com.microsoft:QuantizeLinear': quantize,
  'com.microsoft:DequantizeLinear': dequantize,
  'com.microsoft:DynamicQuantizeLinear': dynamic,
  'com.microsoft:QLinearConcat': concat,
  'com.microsoft:MatMulNBits': fixed,
  'com.microsoft:GatherBlockQuantized': fixed,
});
