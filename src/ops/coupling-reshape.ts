/**
 * Coupling of Reshape and Flatten. Input and output dims fall into blocks of equal products. In a
 * block one axis at most stays free: where a width is split, one factor of it (the heads, or what
 * is inside a head), and all indices that share a place along it leave together.
 *
 * Which factor is a choice: both are valid, but heads are what attention can lose at a profit,
 * while a channel shuffle keeps its many channels and not its few groups.
 */
import type { Node } from '../graph/node.js';
import {
  type CouplingRule,
  type CouplingRules,
  type CutScope,
  countKept,
  fixAll,
  type LabelScope,
  type Labels,
} from './coupling-rule.js';

interface Block {
  /** Axes other than those of size 1. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** The shortest runs of axes with the same product on both sides. */
function blocksOf(from: readonly number[], to: readonly number[]): Block[] {
  const blocks: Block[] = [];
  let i = 0;
  let j = 0;
  while (i < from.length || j < to.length) {
    const inputs = i < from.length ? [i] : [];
    const outputs = j < to.length ? [j] : [];
    let left = from[i++] ?? 1;
    let right = to[j++] ?? 1;
    while (left !== right) {
      if (left < right) {
        inputs.push(i);
        left *= from[i++]!;
      } else {
        outputs.push(j);
        right *= to[j++]!;
      }
    }
    blocks.push({
      inputs: inputs.filter((axis) => from[axis] !== 1),
      outputs: outputs.filter((axis) => to[axis] !== 1),
    });
  }
  return blocks;
}

function coupleReshape(scope: LabelScope): void {
  const from = scope.dims(0);
  const to = scope.outDims();
  if (from.includes(0) || to.includes(0)) {
    fixAll(scope, 'an axis is empty');
    return;
  }
  const labels = scope.labels(0);
  const result = to.map((size) => (size === 1 ? scope.fixed(1) : undefined));
  for (const block of blocksOf(from, to)) regroup(scope, block, labels, from, to, result);
  if (scope.has(1)) {
    to.forEach((_, axis) => {
      scope.sizedBy(1, axis, result[axis]!);
    });
    scope.fixInput(1, 'it says sizes');
  }
  scope.set(result as Labels[]);
}

function regroup(
  scope: LabelScope,
  { inputs, outputs }: Block,
  labels: readonly Labels[],
  from: readonly number[],
  to: readonly number[],
  result: (Labels | undefined)[],
): void {
  if (inputs.length === 1 && outputs.length === 1) {
    result[outputs[0]!] = labels[inputs[0]!]!;
    return;
  }
  const live = inputs.filter((axis) => labels[axis]!.some((label) => !scope.isFixed(label)));
  for (const axis of live.slice(1)) {
    scope.fix(labels[axis]!, 'it is merged with another width');
  }
  const [axis] = live;
  if (axis === undefined) {
    // What is fixed keeps its cause on the way.
    const first = labels[inputs[0] ?? -1]?.[0];
    for (const each of outputs) {
      const size = to[each]!;
      result[each] = first === undefined ? scope.fixed(size) : new Int32Array(size).fill(first);
    }
    return;
  }
  const flat = flatten(inputs, axis, labels[axis]!, from);
  if (outputs.length === 1) {
    result[outputs[0]!] = flat;
    return;
  }
  const sizes = outputs.map((each) => to[each]!);
  const choice = chooseFactor(scope, sizes, flat);
  const inner = sizes.slice(choice.factor + 1).reduce((a, b) => a * b, 1);
  const size = sizes[choice.factor]!;
  const units = Int32Array.from({ length: size }, (_, u) => flat[u * inner]!);
  flat.forEach((label, i) => {
    scope.tie(units[Math.floor(i / inner) % size]!, label);
  });
  scope.kind(units, choice.kind);
  outputs.forEach((each, at) => {
    result[each] = at === choice.factor ? units : scope.fixed(to[each]!, 'it is inside of a unit');
  });
}

/** Labels of the merged axis: those of the one axis that is free. */
function flatten(
  inputs: readonly number[],
  free: number,
  labels: Labels,
  dims: readonly number[],
): Labels {
  const at = inputs.indexOf(free);
  const inner = inputs.slice(at + 1).reduce((product, axis) => product * dims[axis]!, 1);
  const total = inputs.reduce((product, axis) => product * dims[axis]!, 1);
  const flat = new Int32Array(total);
  for (let i = 0; i < total; i++) flat[i] = labels[Math.floor(i / inner) % labels.length]!;
  return flat;
}

interface Choice {
  readonly factor: number;
  readonly kind: string;
}

function chooseFactor(scope: LabelScope, sizes: readonly number[], flat: Labels): Choice {
  const use = useOf(scope);
  const preferred = preferredFactor(scope, sizes, use);
  if (unitsOf(scope, sizes, flat, preferred.factor) > 1) return preferred;
  // The units are tied across this factor already: another one may still tell them apart.
  let best = { factor: preferred.factor, count: 0 };
  sizes.forEach((_, factor) => {
    const count = unitsOf(scope, sizes, flat, factor);
    if (count > best.count) best = { factor, count };
  });
  return best.factor === preferred.factor ? preferred : { factor: best.factor, kind: 'channels' };
}

function preferredFactor(scope: LabelScope, sizes: readonly number[], use: Use): Choice {
  const isWhole = use === 'packed' && sizes.length === 2;
  if (use === 'shuffle' || isWhole)
    return { factor: sizes.indexOf(Math.max(...sizes)), kind: 'channels' };
  if (use === 'attention' && scope.split === 'head-dim') {
    return { factor: sizes.length - 1, kind: 'head-dim' };
  }
  // q, k and v of a packed projection are 3 (or k and v 2) parts before the heads.
  const packed = sizes.length >= 3 && (sizes[0] === 2 || sizes[0] === 3);
  return { factor: packed ? 1 : 0, kind: use === 'other' ? 'groups' : 'heads' };
}

/** How many sets stay apart when indices that share a place along the factor are joined. */
function unitsOf(
  scope: LabelScope,
  sizes: readonly number[],
  flat: Labels,
  factor: number,
): number {
  const inner = sizes.slice(factor + 1).reduce((a, b) => a * b, 1);
  const size = sizes[factor]!;
  const parent = Int32Array.from({ length: size }, (_, i) => i);
  const find = (i: number): number => {
    let at = i;
    while (parent[at] !== at) at = parent[at]!;
    return at;
  };
  const seen = new Map<number, number>();
  let count = size;
  flat.forEach((label, i) => {
    const unit = Math.floor(i / inner) % size;
    const root = scope.root(label);
    const known = seen.get(root);
    if (known === undefined) seen.set(root, unit);
    else if (find(known) !== find(unit)) {
      parent[find(unit)] = find(known);
      count--;
    }
  });
  return count;
}

/** How far the use of a split is followed. */
const maxSteps = 12;

/**
 * What comes of a split: a product of two computed matrices (attention), the same after another
 * split (q, k and v were packed), or, after one Transpose, another Reshape (channel shuffle).
 */
type Use = 'attention' | 'packed' | 'shuffle' | 'other';

function useOf(scope: LabelScope): Use {
  const { node } = scope;
  const next = node.outputs[0]?.onlyUse?.node;
  if (next?.op === 'Transpose' && next.output().onlyUse?.node.op === 'Reshape') return 'shuffle';
  let front = new Set([node]);
  let isPacked = false;
  for (let step = 0; step < maxSteps && front.size > 0; step++) {
    const reached = new Set<Node>();
    for (const each of front) {
      for (const output of each.outputs) for (const user of output?.users ?? []) reached.add(user);
    }
    front = new Set();
    for (const each of reached) {
      const isProduct = products.has(each.op);
      if (isProduct && each.inputs.every((input) => input && !input.constant)) {
        return isPacked ? 'packed' : 'attention';
      }
      if (isProduct || stops.has(each.op)) continue;
      isPacked ||= each.op === 'Reshape' && splits(scope, each);
      front.add(each);
    }
  }
  return 'other';
}

/** Whether a Reshape makes more axes of what it gets, those of size 1 aside. */
function splits(scope: LabelScope, node: Node): boolean {
  const count = (dims: readonly number[] = []) => dims.filter((size) => size !== 1).length;
  return count(scope.dimsOf(node.output())) > count(scope.dimsOf(node.input(0)));
}

const products: ReadonlySet<string> = new Set([
  'MatMul',
  'Gemm',
  'Einsum',
  'Attention',
  'RotaryEmbedding',
  'com.microsoft:FusedMatMul',
  'com.microsoft:RotaryEmbedding',
]);
const stops: ReadonlySet<string> = new Set(['Conv', 'InstanceNormalization', 'Shape']);

/** Entries -1 and 0 follow by themselves: what is left over, and what the input has. */
function rewriteReshape(scope: CutScope): void {
  const numbers = scope.numbers(1);
  scope.outDims().forEach((size, axis) => {
    const mask = scope.keptOut(axis);
    if (numbers?.[axis] === -1) return;
    if (numbers?.[axis] === 0 && sameMask(mask, scope.kept(0, axis))) return;
    const differs = mask || (numbers?.[axis] === 0 && scope.kept(0, axis));
    if (differs) scope.setEntry(1, axis, countKept(mask, size));
  });
}

function sameMask(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (!a || !b) return a === b;
  return countKept(a, a.length) === countKept(b, b.length);
}

const reshape: CouplingRule = {
  couple: coupleReshape,
  rewrite(scope) {
    if (scope.has(1)) return rewriteReshape(scope);
    // Before opset 5 the shape was an attribute.
    if (!scope.node.has('shape')) return;
    const dims = scope.outDims();
    if (!dims.some((_, axis) => scope.keptOut(axis))) return;
    const shape = scope.node.ints('shape');
    scope.node.setAttribute(
      'shape',
      shape.map((entry, axis) => (entry === -1 ? -1 : countKept(scope.keptOut(axis), dims[axis]!))),
    );
  },
  zeros: { all: [0] },
};

export const reshapeCoupling: CouplingRules = Object.freeze({
  Reshape: reshape,
  Flatten: { couple: coupleReshape, zeros: { all: [0] } },
});
