/**
 * Runs constant nodes in a throw-away model: makes the model, asks the runtime for the sizes of
 * what it would compute, finds the nodes that the runtime refuses, and reads results. The graph
 * that the nodes come from is not changed.
 */
import type { Engine } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { inferTypes } from '../engine/shapes.js';
import { messageOf, PareError } from '../errors.js';
import { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { modelToProto } from '../graph/to-proto.js';
import type { Value } from '../graph/value.js';
import type { ValueType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';

interface Scratch {
  readonly model: Model;
  /** Names in the throw-away model: those of two subgraphs may be alike. */
  readonly names: ReadonlyMap<Value, string>;
}

function scratchModel(origin: Model, nodes: readonly Node[], results: readonly Value[]): Scratch {
  const model = new Model({
    // Older versions want every weight among the inputs.
    irVersion: Math.max(origin.irVersion, 4),
    opsets: origin.opsets,
  });
  model.functions.push(...origin.functions);
  const { graph } = model;
  const copies = new Map<Value, Value>();
  const copyOf = (value: Value): Value => {
    let copy = copies.get(value);
    if (!copy) {
      copy = graph.addValue(`v${copies.size}`);
      copies.set(value, copy);
    }
    return copy;
  };
  for (const node of nodes) {
    const inputs = node.inputs.map((value) => {
      if (!value) return undefined;
      const copy = copyOf(value);
      if (!copy.producer) copy.initializer ??= value.constant;
      return copy;
    });
    const copy = graph.addNode({
      opType: node.opType,
      domain: node.domain,
      inputs,
      outputs: node.outputs.map((value) => value && copyOf(value)),
      attributes: Object.fromEntries(node.attributes),
    });
    copy.overload = node.overload;
  }
  graph.outputs.push(...results.map(copyOf));
  return { model, names: new Map([...copies].map(([value, copy]) => [value, copy.name])) };
}

/** Types of what the nodes would make, as far as the runtime tells without running them. */
export async function typesOf(
  engine: Engine,
  origin: Model,
  nodes: readonly Node[],
  signal?: AbortSignal,
): Promise<Map<Value, ValueType>> {
  const results = nodes.flatMap((node) => node.outputs.filter((value) => value !== undefined));
  const { model, names } = scratchModel(origin, nodes, results);
  const { types } = await inferTypes(engine, modelToProto(model), { signal });
  const found = new Map<Value, ValueType>();
  for (const value of results) {
    const type = types.get(names.get(value)!);
    if (type) found.set(value, type);
  }
  return found;
}

/** Computes these values, which the nodes make. Throws `engine` when the runtime fails. */
export async function evaluate(
  engine: Engine,
  origin: Model,
  nodes: readonly Node[],
  results: readonly Value[],
  signal?: AbortSignal,
): Promise<Map<Value, Tensor>> {
  const { model, names } = scratchModel(origin, nodes, results);
  const session = await engine.createSession(await modelSource(model), {
    optimization: 'disabled',
    signal,
  });
  try {
    const outputs = await session.run({}, undefined, { signal });
    return new Map(
      results.map((value) => {
        const { dataType, dims, data } = outputs[names.get(value)!]!;
        const tensor = ArrayBuffer.isView(data)
          ? Tensor.of(dataType, dims, data)
          : Tensor.strings(dims, data);
        return [value, tensor];
      }),
    );
  } finally {
    await session.release();
  }
}

/** Sessions that a search for refused nodes may take. */
const maxAttempts = 64;

/**
 * Runs `attempt` on the nodes and, where it fails, on halves of them, to name the nodes that the
 * runtime refuses. Nodes that depend on a refused one are left out with it.
 */
export async function splitRefused(
  nodes: readonly Node[],
  attempt: (nodes: readonly Node[]) => Promise<void>,
): Promise<Map<Node, string>> {
  const refused = new Map<Node, string>();
  let attempts = 0;
  const tryAll = async (part: readonly Node[]): Promise<void> => {
    const runnable = part.filter((node) => !dependsOn(node, refused));
    if (runnable.length === 0) return;
    try {
      if (++attempts > maxAttempts) {
        throw new PareError('engine', 'the runtime refused too many nodes to try the others');
      }
      // What stands before the part is needed to run it.
      await attempt(closure(runnable));
    } catch (error) {
      if (error instanceof PareError && error.code === 'aborted') throw error;
      if (runnable.length === 1 || attempts > maxAttempts) {
        for (const node of runnable) refused.set(node, messageOf(error));
        return;
      }
      const half = Math.ceil(runnable.length / 2);
      await tryAll(runnable.slice(0, half));
      await tryAll(runnable.slice(half));
    }
  };
  await tryAll(nodes);
  return refused;

  function closure(part: readonly Node[]): Node[] {
    const needed = new Set(part);
    for (const node of [...nodes].reverse()) {
      if (!needed.has(node)) continue;
      for (const input of node.inputs) {
        if (input?.producer && !input.constant) needed.add(input.producer);
      }
    }
    return nodes.filter((node) => needed.has(node));
  }
}

function dependsOn(node: Node, refused: Map<Node, string>): boolean {
  const cause = node.inputs.find((input) => input?.producer && refused.has(input.producer));
  if (!cause) return refused.has(node);
  refused.set(node, `it needs "${cause.name}", which cannot be computed ahead`);
  return true;
}
