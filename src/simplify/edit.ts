/**
 * Edits that several rewrites share: let one value stand in for another, and make constants where
 * a graph allows them. Knows no operator. Graph inputs and outputs keep their names and types.
 */
import { addConstant, inFunctionBody } from '../graph/constant.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import type { Tensor } from '../onnx/tensor.js';

/**
 * Why `value` cannot stand in for `old` at every use, or undefined when it can: both are an
 * interface of the graph (input or output), or a name would mean another value in a subgraph.
 */
export function whyNotReplace(old: Value, value: Value): string | undefined {
  if (isAnnotated(old)) return 'its output carries a quantization annotation';
  for (const node of old.users) {
    if (node.graph?.find(value.name) !== value) {
      return `"${value.name}" means another value where the output is used`;
    }
  }
  if (!old.isOutput) return undefined;
  if (value.graph !== old.graph) return 'it returns a value of the graph around';
  if (value.isInput) return 'it joins a graph input to a graph output';
  if (value.isOutput) return 'it gives one value a second output name';
  if (value.initializer || value.sparse) return 'it returns a constant';
  if (isAnnotated(value)) return 'its input carries a quantization annotation';
  // The value is going to take the name, which must mean nothing else around or inside.
  if (old.graph.parent?.find(old.name)) return `the graph around has a value "${old.name}" too`;
  for (const inner of old.graph.allGraphs()) {
    if (inner !== old.graph && inner.find(old.name)?.graph === inner) {
      return `a subgraph has a value "${old.name}" of its own`;
    }
  }
  return undefined;
}

/** Lets `value` stand in for `old`; ask `whyNotReplace` first. */
export function replaceValue(old: Value, value: Value): void {
  if (old.isOutput) {
    // The interface keeps the type that it declares.
    const { type, origin } = old;
    old.graph.replaceOutput(old, value);
    if (type) value.type = type;
    if (origin) value.origin = origin;
  }
  old.replaceUses(value);
}

/** True when the file annotates the value with the scale and zero point it is quantized by. */
export function isAnnotated(value: Value): boolean {
  return value.graph.quantizationAnnotations.some((row) => row.value === value);
}

/**
 * Gives an input of `user` new constant content: in place and under the same name when nobody
 * else sees the constant, as a constant of its own otherwise.
 */
export function setConstantInput(user: Node, index: number, tensor: Tensor, name?: string): void {
  const value = user.inputs[index];
  if (value && isOwnConstant(user, index)) {
    value.initializer = tensor;
    if (value.type?.kind === 'tensor') value.type = { ...value.type, dims: tensor.dims };
    return;
  }
  user.setInput(index, addConstant(user, value?.name ?? name ?? `${user.label}_constant`, tensor));
}

/** True when the input is an initializer that only this use reads. */
export function isOwnConstant(user: Node, index: number): boolean {
  const value = user.inputs[index];
  return value?.isConstant === true && value.onlyUse !== undefined && !isAnnotationPart(value);
}

/** True when an annotation names the value, as the annotated value or as scale or zero point. */
export function isAnnotationPart(value: Value): boolean {
  return (
    isAnnotated(value) ||
    value.graph.quantizationAnnotations.some((row) =>
      row.parameters.some(([, parameter]) => parameter === value),
    )
  );
}

/**
 * Makes an output of a node constant: an initializer of the same name, or, where the graph returns
 * it, a Constant node, since not every runtime returns initializers. The node itself stays.
 */
export function makeConstant(output: Value, tensor: Tensor): void {
  const node = output.producer!;
  node.setOutput(output.outputIndex, undefined);
  if (output.isOutput || inFunctionBody(output.graph)) {
    output.graph.addNode(
      { opType: 'Constant', inputs: [], outputs: [output], attributes: { value: tensor } },
      { before: node },
    );
    return;
  }
  output.initializer = tensor;
  // The tensor tells its own type.
  output.type = undefined;
}

/** Removes a node when nobody uses what it makes. */
export function removeIfUnused(node: Node): void {
  if (node.outputs.every((output) => !output || output.isUnused)) node.graph!.removeNode(node);
}
