/**
 * RNN, GRU and LSTM, written out step by step, since the runtime does not give the gates: one
 * product of the whole sequence with the input weights, then per step a product with the recurrent
 * weights. The length of the sequence must be fixed. Both directions, both layouts, both values of
 * linear_before_reset, peepholes, clipping, lengths per sample.
 * Source: the ONNX specification; gates are ordered i o f c (LSTM) and z r h (GRU).
 */
import type { Emitter } from '../../graph/emitter.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { activate, parametersOf } from './activation-names.js';
import { expand, type GradientTable, NoGradient } from './rule.js';

/** What one step does: from the gates' inputs and the state to the next state; state 0 is Y. */
type Step = (cell: Cell, x: Value, state: readonly Value[]) => Value[];

interface Cell {
  readonly e: Emitter;
  readonly node: Node;
  readonly hidden: number;
  /** [gates * hidden, hidden], transposed: [hidden, gates * hidden]. */
  readonly recurrent: Value;
  /** Of the recurrent product, [gates * hidden]. */
  readonly bias: Value | undefined;
  readonly peephole: Value | undefined;
  /** Applies the activation at this place, clipped before if the node says so. */
  readonly act: (place: number, value: Value) => Value;
}

interface Family {
  readonly gates: number;
  readonly activations: readonly string[];
  readonly step: Step;
  /** Inputs of the initial states, and of the peepholes. */
  readonly states: readonly number[];
  readonly peephole?: number;
}

function gate({ e, hidden }: Cell, value: Value, index: number, count = 1): Value {
  return e.slice(value, [index * hidden], [(index + count) * hidden], [-1]);
}

function withBias({ e, bias }: Cell, product: Value): Value {
  return bias ? e.add(product, bias) : product;
}

const rnnStep: Step = (cell, x, [h]) => {
  const { e, act, recurrent } = cell;
  return [act(0, e.add(x, withBias(cell, e.op('MatMul', [h!, recurrent]))))];
};

const gruStep: Step = (cell, x, [h]) => {
  const { e, act, node, recurrent, bias } = cell;
  const isLate = node.int('linear_before_reset', 0) === 1;
  const joint = (value: Value) => gate(cell, value, 0, 2);
  const gatesOf = e.op('MatMul', [h!, joint(recurrent)]);
  const both = e.add(joint(x), bias ? e.add(gatesOf, joint(bias)) : gatesOf);
  const [z, r] = [act(0, gate(cell, both, 0)), act(0, gate(cell, both, 1))];
  const own = gate(cell, recurrent, 2);
  const add = (value: Value) => (bias ? e.add(value, gate(cell, bias, 2)) : value);
  const inner = isLate
    ? e.mul(r, add(e.op('MatMul', [h!, own])))
    : add(e.op('MatMul', [e.mul(r, h!), own]));
  const candidate = act(1, e.add(gate(cell, x, 2), inner));
  return [e.add(e.mul(e.sub(1, z), candidate), e.mul(z, h!))];
};

const lstmStep: Step = (cell, x, [h, c]) => {
  const { e, act, node, recurrent, peephole } = cell;
  const all = e.add(x, withBias(cell, e.op('MatMul', [h!, recurrent])));
  const part = (index: number) => gate(cell, all, index);
  // Peepholes are stored in the order i o f.
  const peep = (value: Value, index: number, seen: Value) =>
    peephole ? e.add(value, e.mul(gate(cell, peephole, index), seen)) : value;
  const input = act(0, peep(part(0), 0, c!));
  const isCoupled = node.int('input_forget', 0) === 1;
  const forget = isCoupled ? e.sub(1, input) : act(0, peep(part(2), 2, c!));
  const next = e.add(e.mul(forget, c!), e.mul(input, act(1, part(3))));
  const output = act(0, peep(part(1), 1, next));
  return [e.mul(output, act(2, next)), next];
};

const families = Object.freeze({
  rnn: { gates: 1, activations: ['Tanh'], step: rnnStep, states: [5] },
  gru: { gates: 3, activations: ['Sigmoid', 'Tanh'], step: gruStep, states: [5] },
  lstm: {
    gates: 4,
    activations: ['Sigmoid', 'Tanh', 'Tanh'],
    step: lstmStep,
    states: [5, 6],
    peephole: 7,
  },
} satisfies Record<string, Family>);

function unrolled(family: Family) {
  return expand((e, node) => {
    const isBatchFirst = node.int('layout', 0) === 1;
    const x = isBatchFirst ? e.transpose(node.input(0), [1, 0, 2]) : node.input(0);
    const steps = node.input(0).dims?.[isBatchFirst ? 1 : 0];
    if (typeof steps !== 'number') throw new NoGradient('the length of the sequence is not fixed');
    const direction = node.string('direction', 'forward');
    const ways = direction === 'bidirectional' ? [false, true] : [direction === 'reverse'];
    const runs = ways.map((isReverse, at) =>
      runDirection(e, node, family, { x, steps, isReverse, at, isBatchFirst }),
    );
    // Y is [steps, directions, N, hidden], or [N, steps, directions, hidden].
    const sequence = e.concat(
      runs.map((run) => e.unsqueeze(e.concat(run.outputs, 0), [1])),
      1,
    );
    const last = family.states.map((_, state) =>
      e.concat(
        runs.map((run) => run.last[state]!),
        0,
      ),
    );
    return isBatchFirst
      ? [e.transpose(sequence, [2, 0, 1, 3]), ...last.map((each) => e.transpose(each, [1, 0, 2]))]
      : [sequence, ...last];
  });
}

interface Direction {
  /** [steps, N, input]. */
  readonly x: Value;
  readonly steps: number;
  readonly isReverse: boolean;
  readonly at: number;
  readonly isBatchFirst: boolean;
}

/** The part of a tensor that belongs to a direction, without that axis. */
function partOf(e: Emitter, value: Value, at: number): Value {
  return e.squeeze(e.slice(value, [at], [at + 1], [0]), [0]);
}

function runDirection(e: Emitter, node: Node, family: Family, way: Direction) {
  const { x, steps, isReverse, at, isBatchFirst } = way;
  const { gates, step } = family;
  const hidden = node.input(2).dims?.[2];
  if (typeof hidden !== 'number')
    throw new NoGradient('the recurrent weights are of no fixed dims');
  const lengths = node.inputs[4];
  const biases = node.inputs[3] && partOf(e, node.inputs[3], at);
  const width = gates * hidden;
  const weight = e.transpose(partOf(e, node.input(1), at), [1, 0]);
  const product = e.op('MatMul', [x, weight]);
  const inputs = biases ? e.add(product, e.slice(biases, [0], [width], [0])) : product;
  const cell: Cell = {
    e,
    node,
    hidden,
    recurrent: e.transpose(partOf(e, node.input(2), at), [1, 0]),
    bias: biases && e.slice(biases, [width], [2 * width], [0]),
    peephole:
      family.peephole !== undefined && node.inputs[family.peephole]
        ? partOf(e, node.inputs[family.peephole]!, at)
        : undefined,
    act: activationsOf(e, node, family, at),
  };
  const batch = e.op('Slice', [e.op('Shape', [x]), e.ints(1), e.ints(2)]);
  let state = family.states.map((index) => {
    const given = node.inputs[index];
    if (!given) return e.fillShape(e.concat([batch, e.ints(hidden)], 0));
    return partOf(e, isBatchFirst ? e.transpose(given, [1, 0, 2]) : given, at);
  });
  const outputs: Value[] = [];
  for (let count = 0; count < steps; count++) {
    const time = isReverse ? steps - 1 - count : count;
    const next = step(cell, partOf(e, inputs, time), state);
    let shown = next[0]!;
    if (lengths) {
      // Behind its end a sample keeps its state and shows zeros.
      const isInside = e.unsqueeze(
        e.op('Greater', [lengths, e.scalar(time, lengths.dataType ?? 'int32')]),
        [1],
      );
      state = next.map((value, index) => e.where(isInside, value, state[index]!));
      shown = e.where(isInside, shown, 0);
    } else state = next;
    outputs.push(e.unsqueeze(shown, [0]));
  }
  if (isReverse) outputs.reverse();
  return { outputs, last: state.map((value) => e.unsqueeze(value, [0])) };
}

function activationsOf(e: Emitter, node: Node, family: Family, at: number): Cell['act'] {
  const count = family.activations.length;
  const listed = node.has('activations') ? node.strings('activations') : [];
  const names = listed.length > 0 ? listed : [...family.activations, ...family.activations];
  const alphas = [...node.floats('activation_alpha', [])];
  const betas = [...node.floats('activation_beta', [])];
  // Parameters are listed in order, for the activations that take any.
  const parameters = names.map((name) => {
    const { alpha, beta } = parametersOf(name);
    return [alpha ? alphas.shift() : undefined, beta ? betas.shift() : undefined] as const;
  });
  const clip = node.has('clip') ? node.float('clip') : 0;
  return (place, value) => {
    const index = at * count + place;
    // The activation of the cell's output is not clipped.
    const limited = clip > 0 && place < 2 ? e.op('Clip', [value, -clip, clip]) : value;
    return activate(e, names[index]!, limited, ...parameters[index]!);
  };
}

export const recurrentGradients: GradientTable = Object.freeze({
  RNN: unrolled(families.rnn),
  GRU: unrolled(families.gru),
  LSTM: unrolled(families.lstm),
});
