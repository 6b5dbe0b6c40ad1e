/**
 * Turns a model with QuantizeLinear and DequantizeLinear around its nodes into one with operators
 * on integers (QOperator), node by node: what reads integers and writes integers takes them
 * directly. For runtimes that do not join the pairs themselves. Which operator a node becomes is in
 * the table ops/qoperators.ts; nodes without one keep their pairs.
 */
import { removeDead } from '../../graph/dead.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { type Operand, type QOperator, qOperators } from '../../ops/qoperators.js';
import type { Plan } from './plan.js';

/** Integers with what they mean: the inputs of a DequantizeLinear. */
interface Quantized {
  readonly values: Value;
  readonly scale: Value;
  readonly zeroPoint: Value | undefined;
}

export interface QOperatorResult {
  /** The nodes on integers that stand for those of the plan. */
  readonly nodes: ReadonlySet<Node>;
  /** The nodes that kept their pairs. */
  readonly kept: readonly { readonly node: Node; readonly reason: string }[];
}

/** @param plan written into this model by StaticWriter before */
export function writeQOperators(model: Model, { nodes, absorbed }: Plan): QOperatorResult {
  // The integers behind an absorbed clip end where its bounds do: it clips nothing any more.
  for (const clip of absorbed.keys()) {
    clip.output().replaceUses(clip.input(0));
    clip.graph!.removeNode(clip);
  }
  const done = new Set<Node>();
  const kept: { node: Node; reason: string }[] = [];
  for (const node of nodes) {
    const form = qOperators[node.op];
    const reason = whyKept(node);
    if (reason || !form) kept.push({ node, reason: reason ?? `${node.op} has no QOperator form` });
    else done.add(form === 'itself' ? moveIntegers(node) : replaceNode(node, form));
  }
  removeDead(model.graph);
  return { nodes: done, kept };
}

function whyKept(node: Node): string | undefined {
  const form = qOperators[node.op];
  if (form === undefined) return undefined;
  const refused = form === 'itself' ? undefined : form.refuses?.(node);
  if (refused) return refused;
  const count = form === 'itself' ? 1 : quantizedInputs(node, form);
  for (let i = 0; i < count; i++) {
    if (!quantizedBefore(node.inputs[i])) return `its input "${node.inputs[i]}" is float`;
  }
  const floatResult = form !== 'itself' && form.floatResult === true;
  for (const output of node.outputs) {
    if (output && !floatResult && !quantizedBehind(output))
      return `its output "${output}" is float`;
  }
  return undefined;
}

/** How many of the inputs, from the first on, must be integers. */
function quantizedInputs(node: Node, { operands }: QOperator): number {
  if (operands.includes('inputs')) return node.inputs.length;
  return 1 + Math.max(...operands.map((operand) => (typeof operand === 'number' ? operand : 0)));
}

/** The integers that a float input stands for. */
function quantizedBefore(value: Value | undefined): Quantized | undefined {
  const node = value?.producer;
  if (node?.op !== 'DequantizeLinear') return undefined;
  return { values: node.input(0), scale: node.input(1), zeroPoint: node.inputs[2] };
}

/** The QuantizeLinear that alone takes a float output. */
function quantizedBehind(value: Value): Node | undefined {
  const use = value.onlyUse;
  return use?.node.op === 'QuantizeLinear' && use.index === 0 ? use.node : undefined;
}

/** The node computes on integers as it is: its first input and its outputs change their types. */
function moveIntegers(node: Node): Node {
  const { values } = quantizedBefore(node.inputs[0])!;
  node.setInput(0, values);
  for (const output of node.outputs) {
    if (!output) continue;
    output.type = values.dataType && tensorType(values.dataType, output.dims);
    skipQuantize(output);
  }
  return node;
}

function replaceNode(node: Node, form: QOperator): Node {
  const graph = node.graph!;
  const output = node.output();
  const quantize = quantizedBehind(output);
  const inputs = form.operands.flatMap((operand) => operandInputs(operand, node, quantize));
  while (inputs.at(-1) === undefined) inputs.pop();
  if (form.domain !== '') graph.model!.opsets.set(form.domain, 1);
  // The result keeps its name, whether it stays float or turns into the integers that stand for it.
  node.takeOutputs();
  const added = graph.addNode(
    {
      opType: form.opType,
      domain: form.domain,
      name: node.name || graph.freshNodeName(form.opType),
      inputs,
      attributes: Object.fromEntries(
        [...node.attributes].filter(([name]) => !form.drops?.includes(name)),
      ),
      outputs: [output],
    },
    { before: node },
  );
  graph.removeNode(node);
  if (quantize) {
    output.type = quantize.output().type;
    skipQuantize(output);
  }
  return added;
}

function operandInputs(
  operand: Operand,
  node: Node,
  quantize: Node | undefined,
): (Value | undefined)[] {
  if (operand === 'bias') return [quantizedBefore(node.inputs[2])?.values];
  if (operand === 'result') return quantize ? [quantize.input(1), quantize.inputs[2]] : [];
  const indices = operand === 'inputs' ? [...node.inputs.keys()] : [operand];
  return indices.flatMap((index) => {
    const { values, scale, zeroPoint } = quantizedBefore(node.inputs[index])!;
    return [values, scale, zeroPoint];
  });
}

/** Who took the output of the QuantizeLinear behind takes the integers from here. */
function skipQuantize(output: Value): void {
  const quantize = quantizedBehind(output)!;
  quantize.output().replaceUses(output);
  quantize.graph!.removeNode(quantize);
}
