/**
 * What the rewrites of a quantization scheme share: new nodes placed before the one they replace,
 * quantized weights made once per weight, and outputs handed over from old to new nodes.
 */
import type { AttributeInput } from '../graph/attribute.js';
import type { Graph } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { type DataType, dataTypes } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';
import { transpose } from '../ops/constant-views.js';
import type { FoundWeight } from './find-weight.js';
import { type QuantizedWeight, quantizeWeight, type WeightFormat } from './integers.js';

/** A rewrite says what it did, or why it left the node alone. */
export type RewriteResult = { readonly done: string } | { readonly reason: string };

/** How a rewrite wants a weight: its axes reordered, then quantized along `axis`. */
export interface WeightRequest extends WeightFormat {
  readonly axis: number | undefined;
  /** Reorders the axes first: result axis i is axis perm[i] of the weight. */
  readonly perm?: readonly number[];
}

export interface StoredWeight {
  readonly values: Value;
  readonly dims: readonly number[];
  readonly scales: Float32Array;
  readonly zeroPoint: number;
}

export class Rewriter {
  readonly model: Model;
  readonly #weights = new Map<string, StoredWeight>();
  readonly #activations = new Map<string, Value>();

  constructor(model: Model) {
    this.model = model;
  }

  /** One node with one output, right before `anchor`. */
  emit(
    anchor: Node,
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, AttributeInput | undefined> = {},
    domain = '',
  ): Value {
    return this.emitNode(anchor, opType, inputs, attributes, domain).output();
  }

  emitNode(
    anchor: Node,
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, AttributeInput | undefined> = {},
    domain = '',
    outputs = 1,
  ): Node {
    const graph = anchor.graph!;
    const name = graph.freshNodeName(`${anchor.label}_${opType}`);
    return graph.addNode(
      {
        opType,
        domain,
        name,
        inputs,
        attributes,
        outputs: Array.from({ length: outputs }, (_, i) =>
          graph.freshName(i === 0 ? `${name}_out` : `${name}_out${i}`),
        ),
      },
      { before: anchor },
    );
  }

  constant(graph: Graph, name: string, tensor: Tensor): Value {
    return graph.addInitializer(name, tensor);
  }

  cast(anchor: Node, value: Value, to: DataType): Value {
    return this.emit(anchor, 'Cast', [value], { to: dataTypes[to].code });
  }

  /** Makes `value` stand in for the node's output and removes the node. */
  replace(node: Node, value: Value): void {
    const output = node.output();
    const producer = value.producer!;
    const at = value.outputIndex;
    node.setOutput(node.outputs.indexOf(output), undefined);
    producer.setOutput(at, output);
    // The value that the producer had made is nobody's now.
    value.replaceUses(output);
    value.graph.removeValue(value);
    node.graph!.removeNode(node);
  }

  /** The quantized weight as an initializer beside the float one; made once per request. */
  async weight(found: FoundWeight, request: WeightRequest): Promise<StoredWeight> {
    const key = `${found.value.name}|${JSON.stringify(request)}`;
    const known = this.#weights.get(key);
    if (known) return known;
    const { quantized, dims } = await quantizeFound(found, request);
    const stored: StoredWeight = {
      values: found.value.graph.addInitializer(
        `${found.value.name}_quantized`,
        Tensor.of(request.dataType, dims, quantized.values),
      ),
      dims,
      scales: quantized.scales,
      zeroPoint: quantized.zeroPoint,
    };
    this.#weights.set(key, stored);
    return stored;
  }

  /** A value derived from an activation (its quantized form, say): made once per graph. */
  once(graph: Graph, key: string, make: () => Value): Value {
    const scoped = `${graphKey(graph)}|${key}`;
    let value = this.#activations.get(scoped);
    if (!value) this.#activations.set(scoped, (value = make()));
    return value;
  }
}

async function quantizeFound(
  found: FoundWeight,
  request: WeightRequest,
): Promise<{ quantized: QuantizedWeight; dims: readonly number[] }> {
  const floats = await found.read();
  const dims = request.perm ? request.perm.map((axis) => found.dims[axis]!) : found.dims;
  const ordered = request.perm ? transpose(floats, found.dims, request.perm) : floats;
  return { quantized: quantizeWeight(ordered, { dims, axis: request.axis }, request), dims };
}

const graphKeys = new WeakMap<Graph, number>();
let nextGraphKey = 0;

/** Graphs have no unique name: two branches may be called alike. */
function graphKey(graph: Graph): number {
  let key = graphKeys.get(graph);
  if (key === undefined) graphKeys.set(graph, (key = nextGraphKey++));
  return key;
}
