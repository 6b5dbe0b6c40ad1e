/**
 * MACs of fused attention: scores (queries times keys) and their product with the values, plus
 * the projections where the operator holds them. Causal masks and windows are not taken off:
 * kernels differ in what they skip, and published figures count the full square.
 */
import type { Node } from '../graph/node.js';
import { elementCount } from '../onnx/data-type.js';
import type { NodeShapes, OperatorCost } from './cost.js';

type Dims = readonly number[];

/** scores and values: B * S * T * (width of all query heads + width of all value heads). */
function attended(
  batch: number,
  queries: number,
  keys: number,
  queryWidth: number,
  valueWidth: number,
): number {
  return batch * queries * keys * (queryWidth + valueWidth);
}

/** Attention of the standard (opset 23): Q, K, V as [B,H,S,D] or [B,S,H*D]; past_key is input 4. */
function standardMacs(node: Node, shapes: NodeShapes): number | undefined {
  const [q, k, v] = [shapes.input(0), shapes.input(1), shapes.input(2)];
  if (!q || !k || !v) return undefined;
  const past = pastLength(node, 4, shapes);
  if (past === undefined) return undefined;
  if (q.length === 4) {
    const [batch, heads, queries, width] = q as [number, number, number, number];
    const keys = k[2]! + past;
    return attended(batch, queries, keys, heads * width, heads * v[3]!);
  }
  const [batch, queries, width] = q as [number, number, number];
  const groups = node.int('q_num_heads') / node.int('kv_num_heads');
  return attended(batch, queries, k[1]! + past, width, v[2]! * groups);
}

/** com.microsoft Attention: input [B,S,D] times weights [D, q+k+v], then attention. */
function projected(pastInput: number): OperatorCost {
  return {
    macs(node, shapes) {
      const [x, weight] = [shapes.input(0), shapes.input(1)];
      const past = pastLength(node, pastInput, shapes, 3);
      if (!x || !weight || past === undefined) return undefined;
      const [batch, rows] = x as [number, number];
      const columns = weight[1]!;
      const third = columns / 3;
      const [q, , v] = node.ints('qkv_hidden_sizes', [third, third, third]);
      return batch * rows * elementCount(weight) + attended(batch, rows, rows + past, q!, v!);
    },
    traffic: 'all',
  };
}

/** com.microsoft MultiHeadAttention: separate, or packed as [B,S,H,3,D] and [B,T,H,2,D]. */
function multiHeadMacs(node: Node, shapes: NodeShapes): number | undefined {
  const [q, k, v] = [shapes.input(0), shapes.input(1), shapes.input(2)];
  const past = pastLength(node, 6, shapes);
  if (!q || past === undefined) return undefined;
  const [batch, rows] = q as [number, number];
  if (q.length === 5) return attended(batch, rows, rows + past, q[2]! * q[4]!, q[2]! * q[4]!);
  const width = q[2]!;
  if (!k) return undefined;
  if (k.length === 5) return attended(batch, rows, k[1]! + past, width, width);
  if (!v) return undefined;
  // Keys and values of cross attention may come as [B,H,T,D].
  if (k.length === 4) return attended(batch, rows, k[2]! + past, width, v[1]! * v[3]!);
  return attended(batch, rows, k[1]! + past, width, v[2]!);
}

/** com.microsoft GroupQueryAttention: the keys are those of present_key [B,kvH,T,D] where known. */
function groupQueryMacs(node: Node, shapes: NodeShapes): number | undefined {
  const [q, out] = [shapes.input(0), shapes.output()];
  if (!q || !out) return undefined;
  const [batch, rows] = q as [number, number];
  const present = node.outputs[1] ? shapes.output(1)?.[2] : undefined;
  const past = present === undefined ? pastLength(node, 3, shapes) : 0;
  if (past === undefined) return undefined;
  const width = out[2]!;
  return attended(batch, rows, present ?? rows + past, width, width);
}

/** Positions in the cache at this input: 0 when it is left out, undefined when not known. */
function pastLength(node: Node, index: number, shapes: NodeShapes, axis = 2): number | undefined {
  if (!node.inputs[index]) return 0;
  const dims: Dims | undefined = shapes.input(index);
  return dims?.[axis];
}

export const attentionCosts: Readonly<Record<string, OperatorCost>> = Object.freeze({
  Attention: { macs: standardMacs, traffic: 'all' },
  'com.microsoft:Attention': projected(4),
  'com.microsoft:QAttention': projected(8),
  'com.microsoft:MultiHeadAttention': { macs: multiHeadMacs, traffic: 'all' },
  'com.microsoft:GroupQueryAttention': { macs: groupQueryMacs, traffic: 'all' },
});
