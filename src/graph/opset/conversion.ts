/**
 * What one row of the upgrade table is, and the edits that rows share. A conversion sees a node of
 * a graph whose opset is the one just before `since`, and leaves nodes that are valid at `since`
 * and mean the same; later rows then carry these on.
 */
import { PareError } from '../../errors.js';
import { Tensor } from '../../onnx/tensor.js';
import type { AttributeInput } from '../attribute.js';
import { addConstant } from '../constant.js';
import type { Node } from '../node.js';
import type { Value } from '../value.js';

export interface Conversion {
  /** Operator of the standard domain. */
  readonly op: string;
  /** The opset that changed its meaning or signature. */
  readonly since: number;
  /** Attributes whose values it must know: inside a function they may come from the call. */
  readonly reads?: readonly string[];
  /** What it must know of its inputs, so that inference is worth its time. */
  readonly needs?: 'rank' | 'type';
  /**
   * Converts one node. Returns what changed as a short phrase, undefined when the node reads the
   * same in the new version. Throws `unsupported` where no equivalent is known.
   */
  convert(node: Node): string | undefined | Promise<string | undefined>;
}

/** The same conversion for several operators. */
export function rowsFor(
  ops: readonly string[],
  row: Omit<Conversion, 'op'>,
): readonly Conversion[] {
  return ops.map((op) => ({ op, ...row }));
}

/** The error of a node that has no equivalent; `reason` goes on after "cannot be converted:". */
export function cannotConvert(node: Node, reason: string, hint?: string): PareError {
  return new PareError('unsupported', `upgrade-opset: ${node.op} cannot be converted: ${reason}`, {
    node: node.label,
    hint: hint ?? 'export the model again with a newer opset, or keep its opset',
  });
}

/** The error where shape inference would help. */
export function rankUnknown(node: Node, value: Value): PareError {
  return cannotConvert(
    node,
    `the rank of "${value.name}" is not known`,
    'give the pass an engine, so that it can infer shapes, or save the model with value_info',
  );
}

/**
 * Moves an INTS attribute into an input, as a constant of the same integers (INT64_MAX and all).
 * An attribute of the function call becomes a Constant node of it. False when it is not there.
 */
export function listToInput(node: Node, name: string, index: number): boolean {
  const attribute = node.attributes.get(name);
  if (!attribute) return false;
  if (attribute.type === 'reference') {
    node.setInput(index, insertBefore(node, 'Constant', [], { value_ints: attribute }));
  } else {
    if (attribute.type !== 'ints') throw cannotConvert(node, `${name} is no list of integers`);
    const { value } = attribute;
    const tensor = Tensor.of('int64', [value.length], BigInt64Array.from(value));
    node.setInput(index, addConstant(node, `${node.label}_${name}`, tensor));
  }
  node.removeAttribute(name);
  return true;
}

/** A node before `user`, in its graph and named after it; returns its only output. */
export function insertBefore(
  user: Node,
  opType: string,
  inputs: readonly (Value | undefined)[],
  attributes: Readonly<Record<string, AttributeInput>> = {},
): Value {
  const graph = user.graph!;
  const name = `${user.label}_${opType}`;
  const node = graph.addNode(
    {
      opType,
      name: graph.freshNodeName(name),
      inputs,
      outputs: [graph.freshName(name)],
      attributes,
    },
    { before: user },
  );
  return node.output();
}

/** Puts a node in the place of `node`: under its name, with its outputs. */
export function replaceNode(node: Node, opType: string, inputs: readonly Value[]): void {
  const graph = node.graph!;
  const outputs = node.takeOutputs();
  graph.addNode({ opType, name: node.name, inputs, outputs }, { before: node });
  graph.removeNode(node);
}

/**
 * Puts a node behind `node` that makes its output, and gives `node` a new one to hand on.
 * `spread` are inputs beside that.
 */
export function appendAfter(
  node: Node,
  opType: string,
  spread: readonly Value[] = [],
  attributes: Readonly<Record<string, AttributeInput>> = {},
): void {
  const graph = node.graph!;
  const output = node.output();
  const { label } = node;
  const inner = graph.addValue(graph.freshName(`${label}_inner`));
  node.setOutput(0, inner);
  graph.addNode(
    {
      opType,
      name: graph.freshNodeName(`${label}_${opType}`),
      inputs: [inner, ...spread],
      outputs: [output],
      attributes,
    },
    { after: node },
  );
}

/** Takes an optional output away. False when it is used, so that it has to stay. */
export function dropOutput(node: Node, index: number): boolean {
  const output = node.outputs[index];
  if (!output) return true;
  if (!output.isUnused) return false;
  node.setOutput(index, undefined);
  output.graph.removeValue(output);
  return true;
}

/** Removes a value that an edit left without users, when nothing else holds it. */
export function dropIfUnused(value: Value): void {
  if (value.isUnused && !value.producer && !value.isInput) value.graph.removeValue(value);
}
