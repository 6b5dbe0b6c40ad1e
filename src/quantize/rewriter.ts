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
import { type EncodedWeight, encodeWeight, type StoredFormat } from './weight-types.js';

/** A rewrite says what it did, or why it left the node alone. */
export type RewriteResult = { readonly done: string } | { readonly reason: string };

/** How a rewrite wants a weight: its axes reordered, then quantized along `axis`. */
export type WeightRequest = StoredFormat & {
  readonly axis: number | undefined;
  /** Blocks of this many along the axis instead of one scale for each of its indices. */
  readonly blockSize?: number | undefined;
  /** Reorders the axes first: result axis i is axis perm[i] of the weight. */
  readonly perm?: readonly number[];
};

export interface StoredWeight {
  /** In the order of axes that was asked for. */
  readonly values: Value;
  readonly scales: Float32Array;
  /** As many as scales; undefined for types without. */
  readonly zeroPoints: EncodedWeight['zeroPoints'];
  /** The initializer with the integers: the same for all orders of axes. */
  readonly initializer: Value;
}

export class Rewriter {
  readonly model: Model;
  readonly #made = new Map<Graph | Value, Map<string, unknown>>();

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

  /**
   * Something that several rewrites use (a quantized weight or activation, a scale): made once
   * per owner and key. Values belong to a graph, not to a name: two branches may name them alike.
   */
  once<Made>(owner: Graph | Value, key: string, make: () => Made): Made {
    let made = this.#made.get(owner);
    if (!made) this.#made.set(owner, (made = new Map<string, unknown>()));
    if (!made.has(key)) made.set(key, make());
    return made.get(key) as Made;
  }

  /**
   * The quantized weight as an initializer beside the float one, for use by `node`. It is stored
   * once per weight: who wants its axes in another order (the output layer of a language model
   * that shares its table with the embedding) gets a Transpose of the stored integers, which
   * runtimes fold at load.
   */
  async weight(node: Node, found: FoundWeight, request: WeightRequest): Promise<StoredWeight> {
    const axes = request.perm ?? [...found.dims.keys()];
    const order = axes.map((axis) => found.perm[axis]!);
    const axis = request.axis === undefined ? undefined : order[request.axis];
    const { blockSize } = request;
    // Only whole bytes turn at load, and scales of blocks lie as their integers do.
    const turns = blockSize === undefined && dataTypes[request.dataType].bits >= 8;
    const cut = turns ? `axis ${axis}` : `axis ${axis} of ${order}, blocks of ${blockSize}`;
    const key = `${formatKey(request)}|${cut}`;
    const stored = await this.once(found.source, key, () => storeWeight(found, request, order));
    const perm = order.map((wanted) => stored.order.indexOf(wanted));
    if (perm.every((from, to) => from === to)) return stored;
    const turned = this.once(node.graph!, `${stored.initializer.name}|${perm}`, () =>
      this.emit(node, 'Transpose', [stored.initializer], { perm }),
    );
    return { ...stored, values: turned };
  }

  /** Its zero points as a constant of these dims; undefined where all of them are 0. */
  zeroPoints(weight: StoredWeight, dims: readonly number[]): Value | undefined {
    const { initializer, zeroPoints } = weight;
    if (!zeroPoints?.some((zero) => zero !== 0)) return undefined;
    return this.once(initializer, `zero point|${dims}`, () =>
      this.constant(
        initializer.graph,
        `${initializer.name}_zero_point`,
        Tensor.of(initializer.dataType!, dims, zeroPoints),
      ),
    );
  }

  /** Scales of a stored weight as a constant of these dims. */
  scales(weight: StoredWeight, dims: readonly number[], factor = 1): Value {
    const { initializer, scales } = weight;
    return this.once(initializer, `scale|${dims}|${factor}`, () =>
      this.constant(
        initializer.graph,
        `${initializer.name}_scale`,
        Tensor.of('float', dims, factor === 1 ? scales : scales.map((scale) => scale * factor)),
      ),
    );
  }
}

function formatKey(format: StoredFormat): string {
  const { dataType, symmetric = true } = format;
  const { reduceRange = false } = format.dataType === 'float8e4m3fn' ? {} : format;
  return [dataType, symmetric, reduceRange].join('|');
}

/** `order`: axis i of the stored integers is axis order[i] of the source. */
async function storeWeight(
  found: FoundWeight,
  request: WeightRequest,
  order: readonly number[],
): Promise<StoredWeight & { readonly order: readonly number[] }> {
  const floats = await found.read();
  const dims = request.perm ? request.perm.map((axis) => found.dims[axis]!) : found.dims;
  const ordered = request.perm ? transpose(floats, found.dims, request.perm) : floats;
  const { name, graph } = found.source;
  const layout = { dims, axis: request.axis, blockSize: request.blockSize };
  const { values, scales, zeroPoints } = encodeWeight(ordered, layout, request, name);
  const tensor = Tensor.of(request.dataType, dims, values);
  const initializer = graph.addInitializer(`${name}_quantized`, tensor);
  return { values: initializer, scales, zeroPoints, initializer, order };
}
