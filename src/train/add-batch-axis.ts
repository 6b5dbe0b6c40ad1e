/**
 * A model that was exported for one sample, as one that takes many: each value that depends on an
 * input gets an axis in front, with a sample per index. How operators take it is in ops/batch-axis.
 * What comes out has to be proved by running it (open-batch.ts); nothing is run here.
 */
import type { Engine } from '../engine/engine.js';
import { inferShapes } from '../engine/shapes.js';
import { PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { batchAxisRule } from '../ops/batch-axis.js';
import { prepare } from './prepare.js';

/**
 * A copy in the form of `prepare`, with inputs and outputs of open first dims of which each index is
 * a sample. Types of hidden values are not known afterwards.
 *
 * @param model all inputs and outputs have a first dim of 1
 * @throws PareError `unsupported` with the first node that does not take the axis
 */
export async function addBatchAxis(model: Model, engine: Engine): Promise<Model> {
  const copy = cloneModel(model);
  const { graph } = copy;
  await prepare(copy, engine);
  await inferShapes(engine, copy);
  const ranks = new Map([...graph.values].map((value) => [value, value.dims?.length]));
  const has = new Set<Value>();
  const nodes = [...graph.nodes];
  for (const input of graph.inputs.filter(({ initializer }) => !initializer)) {
    const { users, dims } = input;
    const readers = [...users];
    const rows = new Emitter(graph, { scope: 'batch', position: before(nodes) });
    const samples = rows.unsqueeze(input, [1]);
    for (const reader of readers) replaceInput(reader, input, samples);
    ranks.set(samples, dims?.length);
    has.add(samples);
  }
  for (const node of nodes) {
    const found = node.inputs.map((input) => input !== undefined && has.has(input));
    if (!found.includes(true)) continue;
    const reason = await addTo(node, found, ranks, graph);
    if (reason) {
      throw new PareError('unsupported', `train: no batch can be added: ${reason}`, {
        node: node.label,
      });
    }
    for (const output of node.outputs) if (output) has.add(output);
  }
  for (const output of graph.outputs) if (has.has(output)) mergeFirst(output, has);
  for (const value of graph.values) {
    if (value.type?.kind !== 'tensor' || value.isConstant) continue;
    const { dataType, dims } = value.type;
    if (value.isInput) value.type = { kind: 'tensor', dataType, dims: openFirst(dims) };
    else value.type = value.isOutput ? { kind: 'tensor', dataType, dims: undefined } : undefined;
  }
  return copy;
}

type Dims = readonly (number | string | undefined)[] | undefined;
const openFirst = (dims: Dims) => dims && ['batch', ...dims.slice(1)];
const before = ([first]: readonly Node[]) => first && { before: first };

async function addTo(
  node: Node,
  has: readonly boolean[],
  ranks: ReadonlyMap<Value, number | undefined>,
  graph: Model['graph'],
): Promise<string | undefined> {
  const rule = node.subgraphs.length === 0 && batchAxisRule(node.op);
  if (!rule) return `${node.op} is not known to take one`;
  const own = node.inputs.map((input) => input && (ranks.get(input) ?? input.dims?.length));
  if (node.inputs.some((input, at) => input && own[at] === undefined)) return 'a rank is not known';
  const e = new Emitter(graph, { scope: node.label, position: { before: node } });
  return await rule(node, { has, ranks: own, e });
}

/** [samples, 1, ...] as the output [samples, ...] that the model had. */
function mergeFirst(output: Value, has: ReadonlySet<Value>): void {
  const { graph, producer } = output;
  if (!producer || !has.has(output)) return;
  const at = output.outputIndex;
  const inner = graph.addValue(graph.freshName(`${output.name}_samples`));
  for (const { node, index } of output.uses) node.setInput(index, inner);
  producer.setOutput(at, inner);
  const axes = new Emitter(graph, { scope: 'batch' }).ints(1);
  graph.addNode({ opType: 'Squeeze', inputs: [inner, axes], outputs: [output] });
}

function replaceInput(node: Node, from: Value, to: Value): void {
  node.inputs.forEach((input, at) => {
    if (input === from) node.setInput(at, to);
  });
}
