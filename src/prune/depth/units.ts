/**
 * What is removed at once: a branch, or a layer of several. A transformer repeats attention and
 * feed-forward branches along its stream; the shortest period of such a chain is its layer.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { type Branch, holdsWeight, signatureOf } from './branches.js';

/** Branches in order of execution. */
export type Unit = readonly Branch[];

/** As reports name it: by the sum that ends it. */
export function labelOf(unit: Unit): string {
  return unit.at(-1)!.join.label;
}

/** Every branch by itself, or the layers that they repeat in. */
export function unitsOf(branches: readonly Branch[], kind: 'layer' | 'branch'): Unit[] {
  if (kind === 'branch') return branches.map((branch) => [branch]);
  return chainsOf(branches).flatMap((chain) => {
    const period = periodOf(chain.map(signatureOf));
    const units: Unit[] = [];
    const whole = chain.length - (chain.length % period);
    for (let at = 0; at < whole; at += period) units.push(chain.slice(at, at + period));
    for (const branch of chain.slice(whole)) units.push([branch]);
    return units;
  });
}

/** The smallest period that is seen at least twice; 1 where nothing repeats. */
function periodOf(signatures: readonly string[]): number {
  for (let period = 1; 2 * period <= signatures.length; period++) {
    if (signatures.every((each, at) => at < period || each === signatures[at - period])) {
      return period;
    }
  }
  return 1;
}

/** Branches whose streams follow one another, with nothing but norms and activations in between. */
function chainsOf(branches: readonly Branch[]): Branch[][] {
  const ends = new Map<Node, Branch[]>();
  const chains: Branch[][] = [];
  for (const branch of branches) {
    const before = joinBefore(branch.join.input(branch.streamIndex), ends);
    const chain = before && ends.get(before);
    // Where the stream forks the second branch starts a chain of its own.
    if (chain && chain.at(-1)!.join === before) chain.push(branch);
    else chains.push([branch]);
    ends.set(branch.join, chain && chain.at(-1) === branch ? chain : chains.at(-1)!);
  }
  return chains;
}

/**
 * The one sum of a known branch that a stream comes from. Norms in several nodes fork and join
 * again on the way; layers with weights are no way.
 */
function joinBefore(stream: Value, ends: ReadonlyMap<Node, unknown>): Node | undefined {
  const seen = new Set<Node>();
  const found = new Set<Node>();
  const open = [stream];
  while (open.length > 0) {
    const value = open.pop()!;
    if (value.constant) continue;
    const node = value.producer;
    if (!node || seen.has(node)) {
      if (!node) return undefined;
      continue;
    }
    seen.add(node);
    if (ends.has(node)) found.add(node);
    else if (holdsWeight(node)) return undefined;
    else for (const input of node.inputs) if (input) open.push(input);
  }
  return found.size === 1 ? [...found][0] : undefined;
}
