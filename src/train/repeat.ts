/**
 * Puts a graph into a Loop: what it computes once it computes for every slice of its data, with
 * values that go on from one iteration to the next. Knows no training; the step uses it to add up
 * gradients of several batches, and the training loop to make many steps in one call, so that
 * weights need not leave the runtime.
 */
import { Emitter } from '../graph/emitter.js';
import type { Graph } from '../graph/graph.js';
import { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { type Dim, tensorType, type ValueType } from '../graph/value-type.js';

export interface RepeatRequest {
  /** Inputs that get another slice in every iteration. */
  readonly sliced: readonly Value[];
  /** Inputs that go on with what the iteration before made. */
  readonly carried: readonly { readonly input: Value; readonly output: Value }[];
  /** Values of which every iteration gives one. */
  readonly collected: readonly Value[];
  /** The new first dim of the sliced inputs: the number of iterations, or a symbol for any. */
  readonly count: Dim;
}

export interface Repeated {
  /**
   * The model around the graph, which it takes over. Its inputs have the names that they had;
   * sliced ones have a first axis more. Its outputs are not set.
   */
  readonly model: Model;
  /** Of the values that are carried, in order: what the last iteration made. */
  readonly carried: readonly Value[];
  /** Along a new first axis. */
  readonly collected: readonly Value[];
}

/** The given model is used up. All inputs and outputs of it are those of the main graph. */
export function repeat(inner: Model, request: RepeatRequest): Repeated {
  const { sliced, carried, collected, count } = request;
  const body = inner.graph;
  const model = new Model({ irVersion: inner.irVersion, opsets: inner.opsets });
  model.functions.push(...inner.functions);
  const { graph } = model;
  const names = new Map(body.inputs.map((input) => [input, input.name]));
  const outside = new Map<Value, Value>();
  // A name inside may not be one that is seen from outside.
  for (const [input, name] of names) {
    input.rename(body.freshName(`${name}/inside`));
    const lead = sliced.includes(input) ? [count] : [];
    outside.set(input, graph.addInput(name, withLead(input.type, lead)));
  }
  const first = body.nodes.first;
  const iteration = body.addValue(body.freshName('iteration'), tensorType('int64', []));
  const going = body.addValue(body.freshName('going'), tensorType('bool', []));
  const kept = new Set(carried.map(({ input }) => input));
  body.inputs.splice(0, body.inputs.length, iteration, going, ...kept);
  for (const input of names.keys()) {
    if (kept.has(input)) continue;
    const source = outside.get(input)!;
    if (!sliced.includes(input)) {
      input.replaceUses(source);
      body.removeValue(input);
      continue;
    }
    body.addNode(
      { opType: 'Gather', inputs: [source, iteration], outputs: [input], attributes: { axis: 0 } },
      first && { before: first },
    );
  }
  const goingOn = body.addNode({ opType: 'Identity', inputs: [going] }).output();
  const results = carried.map(({ output }) => output);
  body.outputs.splice(0, body.outputs.length, goingOn, ...results, ...collected);
  body.root = undefined;
  const state = carried.map(({ input }) => outside.get(input)!);
  const node = loopNode(graph, body, outside.get(sliced[0]!)!, state);
  const outputs = [...results, ...collected].map((value, index) => {
    node.setOutput(index, graph.addValue(graph.freshName(`${value.name}/last`)));
    return node.output(index);
  });
  return {
    model,
    carried: outputs.slice(0, results.length),
    collected: outputs.slice(results.length),
  };
}

/** As many iterations as the data has slices. */
function loopNode(graph: Graph, body: Graph, data: Value, state: readonly Value[]): Node {
  // Loops inside have names of their own.
  const depth = [...body.allGraphs()].length;
  const e = new Emitter(graph, { scope: `repeat_${depth}` });
  const count = e.op('Gather', [e.op('Shape', [data]), e.scalar(0, 'int64')], { axis: 0 });
  const always = e.constant('bool', [], [1]);
  return graph.addNode({
    opType: 'Loop',
    inputs: [count, always, ...state],
    outputs: [],
    attributes: { body },
  });
}

function withLead(type: ValueType | undefined, lead: readonly Dim[]): ValueType | undefined {
  if (type?.kind !== 'tensor' || lead.length === 0) return type;
  return { ...type, dims: type.dims && [...lead, ...type.dims] };
}
