/**
 * What one run of a node costs: multiply-accumulates (MACs) and bytes read and written, from the
 * types of its inputs and outputs. A table keyed by operator; no loops over graphs, no sessions.
 *
 * One MAC is one multiplication with its addition inside a contraction (convolution, matrix
 * product, recurrence, attention), the convention of the published figures of ResNet and
 * MobileNet. Element-wise work, normalization, pooling, resizing and data movement count no MACs;
 * their cost is bytes. A mask or sequence length that skips work is not taken off.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { byteLengthOf, type DataType, elementCount } from '../onnx/data-type.js';
import { attentionCosts } from './cost-attention.js';
import { contractionCosts } from './cost-contraction.js';
import { convolutionCosts } from './cost-convolution.js';
import { freeCosts } from './cost-free.js';
import { recurrentCosts } from './cost-recurrent.js';

/** Element type and dims of a tensor in one run: every dim is a number. */
export interface ConcreteType {
  readonly dataType: DataType;
  readonly dims: readonly number[];
}

/** Finds the concrete type of a value; undefined where it is not known. */
export type TypeLookup = (value: Value) => ConcreteType | undefined;

/** Dims of a node's inputs and outputs, as the rules see them. */
export interface NodeShapes {
  /** Dims of an input, undefined when it is left out or not known. */
  input(index: number): readonly number[] | undefined;
  output(index?: number): readonly number[] | undefined;
}

/** How an operator reads and writes: 'all' its inputs and outputs, unless the row says otherwise. */
export type Traffic =
  /** Every input is read and every output written once. */
  | 'all'
  /** Nothing moves: the output is the input under other dims or another name. */
  | 'none'
  /** As much of input 0 is read as is written: gathers and slices. */
  | 'selected'
  /** Only the output is written: shapes, sizes, generated numbers. */
  | 'written';

/** A row of the table. */
export interface OperatorCost {
  /** MACs of one run; undefined when a shape that it needs is not known. */
  macs(node: Node, shapes: NodeShapes): number | undefined;
  readonly traffic: Traffic;
}

const table: Readonly<Record<string, OperatorCost>> = Object.freeze({
  ...freeCosts,
  ...convolutionCosts,
  ...contractionCosts,
  ...recurrentCosts,
  ...attentionCosts,
});

/**
 * Why the MACs of a node cannot be told: its operator is in no row of the table, its work is in
 * subgraphs or a function body, or a shape is missing.
 */
export type MacsUnknown = 'operator' | 'subgraph' | 'shape';

/** MACs of one run of the node, or why they are unknown. */
export function countNodeMacs(
  node: Node,
  types: TypeLookup,
): { readonly macs: number } | { readonly unknown: MacsUnknown } {
  const cost = costOf(node);
  if (!cost) return { unknown: node.subgraphs.length > 0 ? 'subgraph' : 'operator' };
  const macs = cost.macs(node, shapesOf(node, types));
  return macs === undefined || !Number.isFinite(macs) ? { unknown: 'shape' } : { macs };
}

/**
 * MACs of one run of the node; undefined when its operator or a shape is not known.
 * Published figures are met with it: ResNet-18 1.814 G, MobileNetV2 0.30 G, ViT-B/16 17.6 G at
 * batch 1 and 224 x 224.
 *
 * @example macsOf(conv, types) // 64 * 112 * 112 * 3 * 7 * 7 for the stem of a ResNet
 */
export function macsOf(node: Node, types: TypeLookup): number | undefined {
  const count = countNodeMacs(node, types);
  return 'macs' in count ? count.macs : undefined;
}

/**
 * Bytes that one run of the node reads and writes, each input and output once: the traffic that a
 * memory-bound operator pays for. Undefined when a type that it needs is not known. An operator
 * outside the table is taken to read and write everything.
 */
export function bytesMovedBy(node: Node, types: TypeLookup): number | undefined {
  const traffic = costOf(node)?.traffic ?? 'all';
  if (traffic === 'none') return 0;
  const written = totalBytes(node.outputs, types);
  if (traffic === 'written' || written === undefined) return written;
  const readFrom = traffic === 'selected' ? node.inputs.slice(1) : node.inputs;
  const read = totalBytes(readFrom, types);
  if (read === undefined) return undefined;
  return traffic === 'selected' ? read + 2 * written : read + written;
}

function costOf(node: Node): OperatorCost | undefined {
  return Object.hasOwn(table, node.op) ? table[node.op] : undefined;
}

function shapesOf(node: Node, types: TypeLookup): NodeShapes {
  const dims = (value: Value | undefined) => (value ? types(value)?.dims : undefined);
  return {
    input: (index) => dims(node.inputs[index]),
    output: (index = 0) => dims(node.outputs[index]),
  };
}

function totalBytes(values: readonly (Value | undefined)[], types: TypeLookup): number | undefined {
  let bytes = 0;
  for (const value of values) {
    if (!value) continue;
    const type = types(value);
    if (!type) return undefined;
    bytes += byteLengthOf(type.dataType, elementCount(type.dims));
  }
  return bytes;
}

/** How often the subgraphs of a node run: one of them once, or each an unknown number of times. */
export function subgraphRuns(node: Node): 'one of them' | 'unknown' {
  return node.op === 'If' ? 'one of them' : 'unknown';
}
