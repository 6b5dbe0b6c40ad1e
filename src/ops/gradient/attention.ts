/**
 * Attention (opset 23 and later) and RotaryEmbedding, written out: products, mask, softcap and
 * softmax, with grouped key and value heads and a cache of past keys and values.
 * Source: the ONNX specification of Attention and RotaryEmbedding.
 */
import type { Emitter } from '../../graph/emitter.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { expand, type GradientTable, NoGradient } from './rule.js';

/** What a masked score becomes: its weight is 0 in float and in double. */
const masked = -1e30;

const attention = expand((e, node) => {
  const [q, k, v] = [node.input(0), node.input(1), node.input(2)];
  const isFlat = q.dims?.length === 3;
  const queryHeads = headsOf(node, q, 'q_num_heads', isFlat);
  const keyHeads = headsOf(node, k, 'kv_num_heads', isFlat);
  if (node.inputs[6]) throw new NoGradient('nonpad_kv_seqlen');
  const query = split(e, q, queryHeads, isFlat);
  const [pastKey, pastValue] = [node.inputs[4], node.inputs[5]];
  const ownKey = split(e, k, keyHeads, isFlat);
  const ownValue = split(e, v, keyHeads, isFlat);
  const key = pastKey ? e.concat([pastKey, ownKey], 2) : ownKey;
  const value = pastValue ? e.concat([pastValue, ownValue], 2) : ownValue;
  const each = (heads: Value) => repeatHeads(e, heads, keyHeads, queryHeads);
  const product = e.op('MatMul', [query, e.transpose(each(key), [0, 1, 3, 2])]);
  const raw = e.mul(product, scaleOf(e, node, query, q, queryHeads, isFlat));
  const { scores, beforeSoftmax, capped } = scoresOf(e, node, raw, query, key, pastKey);
  const weights = e.op('Softmax', [scores], { axis: -1 });
  const result = e.op('MatMul', [weights, each(value)]);
  const shown = [raw, beforeSoftmax, capped, weights][node.int('qk_matmul_output_mode', 0)];
  const y = isFlat ? e.reshape(e.transpose(result, [0, 2, 1, 3]), [0, 0, -1]) : result;
  const used = (index: number, output: Value | undefined) =>
    node.outputs[index] ? output : undefined;
  return [
    y,
    used(1, e.op('Identity', [key])),
    used(2, e.op('Identity', [value])),
    used(3, shown && e.op('Identity', [shown])),
  ];
});

function headsOf(node: Node, value: Value, attribute: string, isFlat: boolean): number {
  if (isFlat) return node.int(attribute);
  const heads = value.dims?.[1];
  if (typeof heads === 'number') return heads;
  throw new NoGradient(`the number of heads of "${value.name}" is not fixed`);
}

/** [N, length, heads * size] as [N, heads, length, size]. */
function split(e: Emitter, value: Value, heads: number, isFlat: boolean): Value {
  if (!isFlat) return value;
  return e.transpose(e.reshape(value, [0, 0, heads, -1]), [0, 2, 1, 3]);
}

/** Each key head serves several query heads. */
function repeatHeads(e: Emitter, value: Value, from: number, to: number): Value {
  if (from === to) return value;
  const shape = [1, 1, to / from, 1, 1];
  const repeated = e.op('Expand', [e.unsqueeze(value, [2]), e.ints(...shape)]);
  return e.reshape(repeated, [0, to, e.dim(value, -2), -1]);
}

function scaleOf(
  e: Emitter,
  node: Node,
  query: Value,
  q: Value,
  heads: number,
  isFlat: boolean,
): Value | number {
  if (node.has('scale') && node.float('scale') !== 0) return node.float('scale');
  const last = q.dims?.at(-1);
  if (typeof last === 'number') return 1 / Math.sqrt(isFlat ? last / heads : last);
  const size = e.cast(e.op('Squeeze', [e.list([e.dim(query, -1)])]));
  return e.div(1, e.op('Sqrt', [size]));
}

function scoresOf(
  e: Emitter,
  node: Node,
  raw: Value,
  query: Value,
  key: Value,
  pastKey: Value | undefined,
) {
  const softcap = node.float('softcap', 0);
  const capped = softcap > 0 ? e.mul(e.op('Tanh', [e.div(raw, softcap)]), softcap) : raw;
  let scores = capped;
  const mask = node.inputs[3];
  if (mask) {
    const isTruth = mask.dataType === 'bool';
    const wide = padMask(mask, key);
    scores = isTruth ? e.where(wide, scores, masked) : e.add(scores, wide);
  }
  if (node.int('is_causal', 0) === 1) {
    const rows = e.addInts(e.list([e.dim(query, -2)]), 0) as Value;
    const places = (count: Value) =>
      e.op('Range', [e.scalar(0, 'int64'), e.op('Squeeze', [count]), e.scalar(1, 'int64')]);
    const offset = pastKey ? e.list([e.dim(pastKey, -2)]) : e.ints(0);
    const row = e.unsqueeze(e.op('Add', [places(rows), offset]), [1]);
    const column = e.unsqueeze(places(e.list([e.dim(key, -2)])), [0]);
    scores = e.where(e.op('GreaterOrEqual', [row, column]), scores, masked);
  }
  return { scores, beforeSoftmax: scores, capped };
}

/** A mask may be shorter than the keys: what it does not name is masked. */
function padMask(mask: Value, key: Value): Value {
  const [own, all] = [mask.dims?.at(-1), key.dims?.at(-2)];
  if (typeof own !== 'number' || typeof all !== 'number' || own === all || own === 1) return mask;
  throw new NoGradient(`the mask is ${own} long, the keys are ${all}`);
}

/** x1 cos - x2 sin and x1 sin + x2 cos, of halves or of neighbours. */
const rotary = expand((e, node) => {
  const x = node.input(0);
  const isFlat = x.dims?.length === 3;
  // [N, length, heads, size]
  const heads = isFlat
    ? e.reshape(x, [0, 0, node.int('num_heads'), -1])
    : e.transpose(x, [0, 2, 1, 3]);
  const last = x.dims?.at(-1);
  if (typeof last !== 'number') throw new NoGradient('the head size is not fixed');
  const size = isFlat ? last / node.int('num_heads') : last;
  const turned = node.int('rotary_embedding_dim', 0) || size;
  const part = (value: Value, from: number, to: number, step = 1) =>
    e.slice(value, [from], [to], [-1], [step]);
  const rotated = part(heads, 0, turned);
  const half = turned / 2;
  const isInterleaved = node.int('interleaved', 0) === 1;
  const first = isInterleaved ? part(rotated, 0, turned, 2) : part(rotated, 0, half);
  const second = isInterleaved ? part(rotated, 1, turned, 2) : part(rotated, half, turned);
  const cache = (value: Value) => {
    const ids = node.inputs[3];
    const picked = ids ? e.op('Gather', [value, ids], { axis: 0 }) : value;
    return e.unsqueeze(picked, [2]);
  };
  const [cos, sin] = [cache(node.input(1)), cache(node.input(2))];
  const real = e.sub(e.mul(first, cos), e.mul(second, sin));
  const imaginary = e.add(e.mul(first, sin), e.mul(second, cos));
  const joined = isInterleaved
    ? e.reshape(e.concat([e.unsqueeze(real, [-1]), e.unsqueeze(imaginary, [-1])], -1), [
        0,
        0,
        0,
        turned,
      ])
    : e.concat([real, imaginary], -1);
  const whole = turned < size ? e.concat([joined, part(heads, turned, size)], -1) : joined;
  return [isFlat ? e.reshape(whole, [0, 0, -1]) : e.transpose(whole, [0, 2, 1, 3])];
});

export const attentionGradients: GradientTable = Object.freeze({
  Attention: attention,
  RotaryEmbedding: rotary,
});
