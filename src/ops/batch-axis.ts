/**
 * How a node takes one more axis in front of those that it was made for, with one sample per index:
 * what a map over samples makes of each operator. For models that were exported for one sample and
 * have no axis of the batch left inside, such as attention written as products of two-dimensional
 * matrices. An operator that is not listed, and is not elementwise, cannot take it.
 * Source: the ONNX operator specification; broadcasting aligns the last axes. Forms of opset 18.
 */
import type { Emitter } from '../graph/emitter.js';
import type { Node } from '../graph/node.js';
import { traitsOf } from './traits.js';

/** What a rule may look at. */
export interface BatchAxis {
  /** By input: whether it has the new axis in front. */
  readonly has: readonly boolean[];
  /** By input: its rank without the new axis; undefined where there is no input. */
  readonly ranks: readonly (number | undefined)[];
  /** Writes nodes before the node. */
  readonly e: Emitter;
}

/** Changes the node; a reason where it cannot. The inputs stand already as they are to be. */
export type BatchAxisRule = (node: Node, axis: BatchAxis) => Promise<string | undefined>;

const reductions: readonly string[] = [
  'ReduceL1',
  'ReduceL2',
  'ReduceLogSum',
  'ReduceLogSumExp',
  'ReduceMax',
  'ReduceMean',
  'ReduceMin',
  'ReduceProd',
  'ReduceSum',
  'ReduceSumSquare',
];

const table: Readonly<Record<string, BatchAxisRule>> = Object.freeze({
  MatMul: matMul,
  Reshape: reshape,
  Transpose: transpose,
  Concat: concat,
  Slice: slice,
  Gather: gather,
  Split: axisAttribute(0),
  Softmax: axisAttribute(-1),
  LogSoftmax: axisAttribute(-1),
  LayerNormalization: axisAttribute(-1),
  RMSNormalization: axisAttribute(-1),
  ArgMax: axisAttribute(0),
  Squeeze: squeeze,
  Unsqueeze: axesInput,
  ...Object.fromEntries(reductions.map((op) => [op, axesInput])),
});

/** The rule of an operator; undefined where a batch axis cannot be added to it. */
export function batchAxisRule(op: string): BatchAxisRule | undefined {
  if (Object.hasOwn(table, op)) return table[op];
  return traitsOf(op).elementwise ? elementwise : undefined;
}

async function elementwise(node: Node, axis: BatchAxis) {
  align(node, axis);
  return undefined;
}

/** Puts axes of 1 behind the new axis, so that the others still stand below each other. */
function align(node: Node, { has, ranks, e }: BatchAxis): void {
  const most = Math.max(...ranks.map((rank) => rank ?? 0));
  for (const [at, rank] of ranks.entries()) {
    if (!has[at] || rank === undefined || rank === most) continue;
    const ones = Array.from({ length: most - rank }, (_, i) => i + 1);
    node.setInput(at, e.unsqueeze(node.input(at), ones));
  }
}

/** A vector has no axis beside which samples could stand, but for rows times a constant matrix. */
async function matMul(node: Node, axis: BatchAxis) {
  const { has, ranks } = axis;
  if (!ranks.includes(1)) align(node, axis);
  else if (has[1] || ranks[1] !== 2) return 'it multiplies a vector';
  return undefined;
}

/** A 0 copies the dim at its own place, which moves with it. */
async function reshape(node: Node, { has, e }: BatchAxis) {
  const shape = await node.constantInput(1)?.numbers();
  if (!shape || has[1]) return 'its shape is computed';
  if (node.int('allowzero', 0) !== 0) return 'it may have dims of 0';
  node.setInput(1, e.ints(0, ...shape));
  return undefined;
}

async function transpose(node: Node, { ranks }: BatchAxis) {
  const perm = node.ints('perm', reversed(ranks[0]!));
  node.setAttribute('perm', [0, ...perm.map((axis) => axis + 1)]);
  return undefined;
}

/** What is not of a sample stands beside each of them. */
async function concat(node: Node, { has, e }: BatchAxis) {
  const axis = node.int('axis', 0);
  const like = node.input(has.indexOf(true));
  const count = e.op('Slice', [e.op('Shape', [like]), e.ints(0), e.ints(1)]);
  for (const [at, is] of has.entries()) {
    if (is) continue;
    const value = node.input(at);
    const dims = value.dims;
    if (!dims?.every((dim) => typeof dim === 'number')) return 'a shape is not known';
    node.setInput(at, e.op('Expand', [e.unsqueeze(value, [0]), e.list([count, ...dims])]));
  }
  node.setAttribute('axis', behind(axis));
  return undefined;
}

async function slice(node: Node, { has, e }: BatchAxis) {
  if (has.slice(1).some(Boolean)) return 'its bounds are computed from the sample';
  const starts = await node.constantInput(1)?.numbers();
  const axes = node.inputs[3] ? await node.constantInput(3)?.numbers() : starts?.map((_, at) => at);
  if (!axes) return 'its axes are computed';
  node.setInput(3, e.ints(...[...axes].map(behind)));
  return undefined;
}

/** Rows of a table by indices of the sample stand right as they are. */
async function gather(node: Node, { has }: BatchAxis) {
  const axis = node.int('axis', 0);
  if (has[0] && has[1]) return 'data and indices are both of the sample';
  if (has[0]) node.setAttribute('axis', behind(axis));
  return has[1] && axis !== 0 ? 'its indices are of the sample' : undefined;
}

function axisAttribute(fallback: number): BatchAxisRule {
  return async (node, { has }) => {
    if (!has[0] || has.slice(1).some(Boolean)) return 'another input is of the sample';
    node.setAttribute('axis', behind(node.int('axis', fallback)));
    return undefined;
  };
}

async function squeeze(node: Node, axis: BatchAxis) {
  return node.inputs[1] ? await axesInput(node, axis) : 'its axes are not given';
}

async function axesInput(node: Node, { has, ranks, e }: BatchAxis) {
  if (has[1]) return 'its axes are computed from the sample';
  const axes = node.inputs[1] ? await node.constantInput(1)?.numbers() : all(ranks[0]!);
  if (!axes) return 'its axes are computed';
  node.setInput(1, e.ints(...[...axes].map(behind)));
  return undefined;
}

/** Axes that count from the end stay where they are. */
const behind = (axis: number) => (axis < 0 ? axis : axis + 1);
const all = (rank: number) => Array.from({ length: rank }, (_, axis) => axis);
const reversed = (rank: number) => all(rank).reverse();
