/**
 * Coupling of fused attention: a head leaves as a whole, in queries, keys, values and the result;
 * where several query heads share a key, they leave with it. The scale depends on the size of a
 * head, which stays. Source: ONNX Runtime's contrib operator list, the ONNX specification (Attention
 * and RotaryEmbedding, opset 23).
 */
import {
  type CouplingRule,
  type CouplingRules,
  type CutScope,
  countKept,
  fixAll,
  type LabelScope,
  type Labels,
} from './coupling-rule.js';

/** Ties every index of a packed axis to the label of its head: head h has `labels.length / heads`. */
function tieHeads(scope: LabelScope, labels: Labels, units: Labels): void {
  const size = labels.length / units.length;
  labels.forEach((label, i) => {
    scope.tie(units[Math.floor(i / size)]!, label);
  });
}

/** The first label of each head. */
function headsOf(labels: Labels, heads: number): Labels {
  const size = labels.length / heads;
  return Int32Array.from({ length: heads }, (_, h) => labels[h * size]!);
}

interface AttentionLayout {
  readonly query: number;
  readonly key: number;
  readonly value: number;
  /** Packed q, k and v: [q heads; k heads; v heads] times the size of a head. */
  readonly bias?: number;
  /** [batch, heads, time, size] of earlier keys and values. */
  readonly past?: readonly number[];
  /** Spread over [batch, heads, time, time]: the axis of the heads may be missing or 1. */
  readonly spread?: readonly number[];
  /** [heads] */
  readonly perHead?: readonly number[];
  readonly headsName: string;
  readonly keyHeadsName?: string;
}

function attention(layout: AttentionLayout): CouplingRule {
  const { query, key, value, bias, headsName, keyHeadsName } = layout;
  return {
    couple(scope) {
      const q = scope.labels(query);
      const isPacked = !scope.has(key);
      if (isPacked || q.length > 4) return fixAll(scope, 'its query, key and value are packed');
      const k = scope.labels(key);
      const v = scope.labels(value);
      const isSplit = q.length === 4;
      const heads = isSplit ? q[1]!.length : scope.node.int(headsName);
      const keyHeads =
        k.length === 4 ? k[1]!.length : keyHeadsName ? scope.node.int(keyHeadsName, heads) : heads;
      if (q.length !== k.length || k.length !== v.length) {
        return fixAll(scope, 'its query and key have different ranks');
      }
      const units = isSplit ? k[1]! : headsOf(k[2]!, keyHeads);
      const last = isSplit ? 1 : 2;
      scope.kind(units, 'heads');
      tieHeads(scope, q[last]!, units);
      tieHeads(scope, k[last]!, units);
      tieHeads(scope, v[last]!, units);
      if (isSplit) {
        for (const own of [q[3]!, k[3]!, v[3]!])
          scope.fix(own, 'the scale depends on the size of a head');
      }
      const used = new Set([query, key, value]);
      if (bias !== undefined && scope.has(bias)) {
        tieBias(scope, scope.labels(bias)[0]!, [q[last]!, k[last]!, v[last]!]);
        used.add(bias);
      }
      const alongHeads = (input: number, headAxis: number, mayBeOne: boolean) => {
        if (!scope.has(input)) return;
        used.add(input);
        scope.labels(input).forEach((own, axis) => {
          if (axis !== headAxis || (mayBeOne && own.length === 1)) scope.fix(own, 'it is no head');
          else tieHeads(scope, own, units);
        });
      };
      for (const input of layout.past ?? []) alongHeads(input, 1, false);
      for (const input of layout.perHead ?? []) alongHeads(input, 0, false);
      for (const input of layout.spread ?? []) {
        if (scope.has(input)) alongHeads(input, scope.dims(input).length - 3, true);
      }
      for (let input = 0; input < scope.node.inputs.length; input++) {
        if (scope.has(input) && !used.has(input)) scope.fixInput(input, 'it is for all heads');
      }
      const out = scope.outDims();
      const result = Int32Array.from(
        { length: out[last]! },
        (_, i) => units[Math.floor((i * units.length) / out[last]!)]!,
      );
      scope.set(out.map((size, axis) => (axis === last ? result : scope.fixed(size))));
      scope.node.outputs.slice(1).forEach((output, i) => {
        const dims = output ? scope.outDims(i + 1) : [];
        const axis = dims.length === 4 ? 1 : -1;
        if (axis > 0 && dims[1]! % units.length === 0) {
          const per = dims[1]! / units.length;
          const own = Int32Array.from({ length: dims[1]! }, (_, h) => units[Math.floor(h / per)]!);
          scope.set(
            dims.map((size, at) => (at === 1 ? own : scope.fixed(size))),
            i + 1,
          );
        } else if (output) scope.fix(units, 'an output of its own is not followed');
      });
    },
    rewrite(scope) {
      const rank = scope.dims(query).length;
      if (rank === 3) rewriteHeads(scope, headsName, query);
      if (rank === 3 && keyHeadsName) rewriteHeads(scope, keyHeadsName, key);
    },
    zeros: { any: [value], all: [] },
  };
}

function tieBias(scope: LabelScope, labels: Labels, parts: readonly Labels[]): void {
  let at = 0;
  for (const part of parts) {
    scope.unify(part, labels.slice(at, at + part.length));
    at += part.length;
  }
}

/** Heads that are left: as large a share as of the axis. */
function rewriteHeads(scope: CutScope, name: string, input: number): void {
  const axis = scope.dims(input).length - 1;
  const mask = scope.kept(input, axis);
  if (!mask || !scope.node.has(name)) return;
  const size = mask.length / scope.node.int(name);
  scope.node.setAttribute(name, countKept(mask, mask.length) / size);
}

/** x times packed weights [in, q heads; k heads; v heads]. */
const packedAttention: CouplingRule = {
  couple(scope) {
    const heads = scope.node.int('num_heads');
    const [rows, columns] = scope.labels(1) as [Labels, Labels];
    const sizes = partsOf(scope, columns.length);
    scope.side(1, 0, 'in');
    scope.side(1, 1, 'out');
    scope.unify(scope.labels(0).at(-1)!, rows);
    scope.sums(rows, [0, 1], 'any');
    let at = 0;
    const units = headsOf(columns.slice(0, sizes[0]), heads);
    for (const size of sizes) {
      tieHeads(scope, columns.slice(at, at + size), units);
      at += size;
    }
    scope.kind(units, 'heads');
    if (scope.has(2)) scope.unify(scope.labels(2)[0]!, columns);
    for (let i = 3; i < scope.node.inputs.length; i++) {
      if (!scope.has(i)) continue;
      const isPerHead = i >= 4 && scope.dims(i).some((size) => size === heads);
      if (isPerHead) scope.fix(units, 'its past or bias is not followed');
      scope.fixInput(i, 'it is for all heads');
    }
    if (scope.node.outputs[1]) scope.fix(units, 'its present is not followed');
    const out = scope.outDims();
    const result = Int32Array.from(
      { length: out[2]! },
      (_, i) => units[Math.floor((i * heads) / out[2]!)]!,
    );
    scope.set([scope.fixed(out[0]!), scope.fixed(out[1]!), result]);
  },
  rewrite(scope) {
    const mask = scope.kept(1, 1);
    if (!mask) return;
    const sizes = partsOf(scope, mask.length);
    const heads = scope.node.int('num_heads');
    const left = (countKept(mask.subarray(0, sizes[0]), 0) * heads) / sizes[0]!;
    scope.node.setAttribute('num_heads', left);
    if (scope.node.has('qkv_hidden_sizes')) {
      scope.node.setAttribute(
        'qkv_hidden_sizes',
        sizes.map((size) => (size / heads) * left),
      );
    }
  },
  zeros: { all: [1, 2] },
};

function partsOf(scope: LabelScope | CutScope, columns: number): number[] {
  if (scope.node.has('qkv_hidden_sizes')) return scope.node.ints('qkv_hidden_sizes');
  return [columns / 3, columns / 3, columns / 3];
}

/** Rotates pairs inside a head: heads leave as a whole. Inputs that are tables or positions stay. */
function rotary(cosine: number): CouplingRule {
  return {
    couple(scope) {
      const labels = scope.labels(0);
      for (let i = 1; i < scope.node.inputs.length; i++) {
        if (scope.has(i)) scope.fixInput(i, 'it is for all heads');
      }
      if (labels.length === 4) {
        scope.fix(labels[3]!, 'it is rotated in pairs');
        return scope.set(labels);
      }
      const width = labels[2]!;
      const given = scope.node.int('num_heads', 0);
      const heads = given > 0 ? given : width.length / (2 * scope.dims(cosine).at(-1)!);
      const units = headsOf(width, heads);
      tieHeads(scope, width, units);
      scope.kind(units, 'heads');
      scope.set(labels);
    },
    rewrite(scope) {
      if (scope.dims(0).length === 3 && scope.node.int('num_heads', 0) > 0) {
        rewriteHeads(scope, 'num_heads', 0);
      }
    },
    zeros: { all: [0] },
  };
}

export const attentionCoupling: CouplingRules = Object.freeze({
  Attention: attention({
    query: 0,
    key: 1,
    value: 2,
    spread: [3],
    past: [4, 5],
    headsName: 'q_num_heads',
    keyHeadsName: 'kv_num_heads',
  }),
  RotaryEmbedding: rotary(1),
  'com.microsoft:Attention': packedAttention,
  'com.microsoft:MultiHeadAttention': attention({
    query: 0,
    key: 1,
    value: 2,
    bias: 3,
    spread: [5],
    past: [6, 7],
    headsName: 'num_heads',
  }),
  'com.microsoft:GroupQueryAttention': attention({
    query: 0,
    key: 1,
    value: 2,
    past: [3, 4],
    spread: [10],
    perHead: [11],
    headsName: 'num_heads',
    keyHeadsName: 'kv_num_heads',
  }),
  'com.microsoft:RotaryEmbedding': rotary(2),
});
