/**
 * The float constants of a model, whatever they are for and whichever way they are stored, and
 * how to store one in another type with nodes behind it that bring the floats back.
 */
import type { AttributeInput } from '../graph/attribute.js';
import { addConstant } from '../graph/constant.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';
import { roleOfInput } from '../ops/input-roles.js';

export interface StoredConstant {
  readonly value: Value;
  readonly tensor: Tensor;
  /** A node that uses it, under whose name reports tell of it. */
  readonly user: Node;
}

/** Every float32 initializer and Constant node with a user; main graph, subgraphs, functions. */
export function floatConstants(model: Model): StoredConstant[] {
  const found: StoredConstant[] = [];
  for (const graph of model.allGraphs()) {
    for (const value of graph.values) {
      const { initializer, producer } = value;
      const tensor =
        producer?.op === 'Constant'
          ? producer.tensorAttribute('value')
          : (initializer ?? undefined);
      const user = value.uses[0]?.node;
      if (tensor?.dataType === 'float' && user) found.push({ value, tensor, user });
    }
  }
  return found;
}

/** Why a constant must stay as it is: the interface of the model shows it, or kernels read it. */
export function fixedReason({ value, tensor }: StoredConstant): string | undefined {
  if (value.isInput) return 'it is also a graph input, so callers may replace it';
  if (value.isOutput) return 'it is a graph output';
  const isParameter = value.uses.some(
    ({ node, index }) => roleOfInput(node, index, tensor) === 'quantization',
  );
  return isParameter ? 'it is a parameter of quantized numbers, which must stay exact' : undefined;
}

/** Puts `stored` with a Cast to float behind it, and a Mul by `scale` where given, in its place. */
export function storeAs({ value }: StoredConstant, stored: Tensor, scale?: Tensor): void {
  const { graph, name, producer } = value;
  const anchor = producer ?? graph.nodes.first!;
  const add = (opType: string, inputs: Value[], attributes: Record<string, AttributeInput> = {}) =>
    graph
      .addNode(
        { opType, name: graph.freshNodeName(`${name}_${opType}`), inputs, attributes },
        { before: anchor },
      )
      .output();
  const constant = addConstant(anchor, `${name}_${stored.dataType}`, stored);
  let float = add('Cast', [constant], { to: dataTypes.float.code });
  if (scale) float = add('Mul', [float, addConstant(anchor, `${name}_scale`, scale)]);
  value.replaceUses(float);
  if (producer) {
    graph.removeNode(producer);
  } else {
    value.initializer = undefined;
    graph.removeValue(value);
  }
}
