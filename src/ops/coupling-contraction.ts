/**
 * Coupling of matrix products: the summed axis of one side leaves with that of the other, rows and
 * columns become axes of the result. Source: the ONNX operator specification and ONNX Runtime's
 * contrib operator list.
 */
import {
  type CouplingRule,
  type CouplingRules,
  fixAll,
  type LabelScope,
  type Labels,
} from './coupling-rule.js';

/** Where a product keeps its operands and what rides along. */
interface ProductLayout {
  readonly a: number;
  readonly b: number;
  /** Added to the result, with broadcasting. */
  readonly bias?: number;
  /** One number per row of the result, or one for all. */
  readonly rows?: readonly number[];
  /** One number per column of the result, or one for all. */
  readonly columns?: readonly number[];
  /** Zero points of the operands, one for all or one per row or column. */
  readonly zeroA?: number;
  readonly zeroB?: number;
  /** Inputs that these attributes transpose. */
  readonly transA?: string;
  readonly transB?: string;
  /** Attributes that change the layout in ways that are not followed. */
  readonly unless?: readonly string[];
}

function product(layout: ProductLayout): CouplingRule {
  const { a, b, bias } = layout;
  return {
    couple(scope) {
      const unusual = layout.unless?.find((name) => scope.node.int(name, 0) !== 0);
      if (unusual) return fixAll(scope, `${unusual} is set`);
      const left = operand(scope, a, layout.transA, 'left');
      const right = operand(scope, b, layout.transB, 'right');
      scope.unify(left.inner, right.inner);
      scope.side(a, left.innerAxis, 'in');
      scope.side(b, right.innerAxis, 'in');
      if (left.outerAxis >= 0) scope.side(a, left.outerAxis, 'out');
      if (right.outerAxis >= 0) scope.side(b, right.outerAxis, 'out');
      scope.sums(right.inner, [a, b], 'any');
      const dims = scope.outDims();
      const own = [...(left.outer ? [left.outer] : []), ...(right.outer ? [right.outer] : [])];
      const batchDims = dims.slice(0, dims.length - own.length);
      const labels = [...batchLabels(scope, [left.batch, right.batch], batchDims), ...own];
      scope.set(labels);
      if (bias !== undefined && scope.has(bias)) alongResult(scope, bias, labels);
      for (const input of layout.rows ?? []) vector(scope, input, left.outer);
      for (const input of layout.columns ?? []) vector(scope, input, right.outer);
      for (let input = 0; input < scope.node.inputs.length; input++) {
        const known = [a, b, bias, ...(layout.rows ?? []), ...(layout.columns ?? [])];
        if (scope.has(input) && !known.includes(input)) scope.fixInput(input, 'it is a scalar');
      }
    },
    zeros: { any: [a, b], all: bias === undefined ? [] : [bias] },
    ...(layout.zeroA !== undefined && {
      zeroPoints: [
        { of: a, by: layout.zeroA, axis: (_, rank) => rank - 2 },
        { of: b, by: layout.zeroB!, axis: (_, rank) => rank - 1 },
      ],
    }),
  };
}

interface Operand {
  readonly batch: readonly Labels[];
  readonly outer: Labels | undefined;
  readonly inner: Labels;
  readonly outerAxis: number;
  readonly innerAxis: number;
}

/** A vector has no outer axis, whichever side it is on. */
function operand(
  scope: LabelScope,
  input: number,
  transposedBy: string | undefined,
  place: 'left' | 'right',
): Operand {
  const labels = scope.labels(input);
  const rank = labels.length;
  if (rank === 1) {
    return { batch: [], outer: undefined, inner: labels[0]!, outerAxis: -1, innerAxis: 0 };
  }
  const isTransposed = transposedBy !== undefined && scope.node.int(transposedBy, 0) !== 0;
  const innerIsLast = (place === 'left') !== isTransposed;
  const innerAxis = innerIsLast ? rank - 1 : rank - 2;
  const outerAxis = innerIsLast ? rank - 2 : rank - 1;
  return {
    batch: labels.slice(0, rank - 2),
    outer: labels[outerAxis]!,
    inner: labels[innerAxis]!,
    outerAxis,
    innerAxis,
  };
}

function batchLabels(
  scope: LabelScope,
  sides: readonly (readonly Labels[])[],
  dims: readonly number[],
): Labels[] {
  return dims.map((size, axis) => {
    const found = sides
      .map((side) => side[axis - (dims.length - side.length)])
      .filter((labels) => labels?.length === size) as Labels[];
    if (found.length === 2) scope.unify(found[0]!, found[1]!);
    return found[0] ?? scope.fixed(size);
  });
}

/** An input that is broadcast onto the result. */
export function alongResult(scope: LabelScope, input: number, result: readonly Labels[]): void {
  const labels = scope.labels(input);
  labels.forEach((own, axis) => {
    const target = result[axis + result.length - labels.length];
    if (target?.length === own.length) scope.unify(target, own);
    else scope.fix(own, 'it is broadcast');
  });
}

/** One number per index of the axis, or one for all. */
export function vector(scope: LabelScope, input: number, target: Labels | undefined): void {
  if (!scope.has(input)) return;
  const labels = scope.labels(input);
  if (target && labels.length === 1 && labels[0]!.length === target.length) {
    scope.unify(target, labels[0]!);
  } else scope.fixInput(input, 'one number is for all');
}

/** Letters of the equation are axes. No ellipsis, no letter twice in one term. */
const einsum: CouplingRule = {
  couple(scope) {
    const equation = scope.node.string('equation').replaceAll(' ', '');
    const [left = '', right] = equation.split('->');
    const terms = left.split(',');
    const isPlain = [...terms, right ?? '.'].every(
      (term) => /^[A-Za-z]*$/.test(term) && new Set(term).size === term.length,
    );
    if (!isPlain || right === undefined) return fixAll(scope, `"${equation}" is not followed`);
    const byLetter = new Map<string, Labels>();
    terms.forEach((term, input) => {
      [...term].forEach((letter, axis) => {
        const labels = scope.labels(input)[axis]!;
        const known = byLetter.get(letter);
        if (known?.length === 1 && labels.length > 1) byLetter.set(letter, labels);
        else if (known && known.length === labels.length) scope.unify(known, labels);
        else if (!known) byLetter.set(letter, labels);
        scope.side(input, axis, right.includes(letter) ? 'out' : 'in');
      });
    });
    for (const [letter, labels] of byLetter) {
      if (right.includes(letter)) continue;
      const inputs = [...terms.keys()].filter((input) => terms[input]!.includes(letter));
      scope.sums(labels, inputs, 'any');
    }
    scope.set([...right].map((letter) => byLetter.get(letter)!));
  },
  zeros: { any: [0, 1] },
};

const gemm = product({ a: 0, b: 1, bias: 2, transA: 'transA', transB: 'transB' });

export const contractionCoupling: CouplingRules = Object.freeze({
  Gemm: gemm,
  MatMul: product({ a: 0, b: 1 }),
  MatMulInteger: product({ a: 0, b: 1, rows: [2], columns: [3], zeroA: 2, zeroB: 3 }),
  QLinearMatMul: product({ a: 0, b: 3, rows: [1, 2], columns: [4, 5], zeroA: 2, zeroB: 5 }),
  Einsum: einsum,
  'com.microsoft:FusedGemm': gemm,
  'com.microsoft:FusedMatMul': product({
    a: 0,
    b: 1,
    transA: 'transA',
    transB: 'transB',
    unless: ['transBatchA', 'transBatchB'],
  }),
  'com.microsoft:TransposeMatMul': product({ a: 0, b: 1, transA: 'transA', transB: 'transB' }),
  'com.microsoft:MatMulIntegerToFloat': product({
    a: 0,
    b: 1,
    rows: [2, 4],
    columns: [3, 5],
    bias: 6,
    zeroA: 4,
    zeroB: 5,
  }),
  'com.microsoft:DynamicQuantizeMatMul': product({ a: 0, b: 1, columns: [2, 3], bias: 4 }),
  'com.microsoft:QGemm': product({
    a: 0,
    b: 3,
    transA: 'transA',
    transB: 'transB',
    columns: [4, 5],
    bias: 6,
    zeroA: 2,
    zeroB: 5,
  }),
});
