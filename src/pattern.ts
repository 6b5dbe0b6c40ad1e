/**
 * Choosing nodes by pattern: `conv1` is a node's name, `layers.*.attn*` a wildcard over names
 * ('*' stands for any characters), `op:Conv` an operator type.
 */
import { PareError } from './errors.js';
import type { Model } from './graph/model.js';
import type { Node } from './graph/node.js';

export type NodePredicate = (node: Node) => boolean;

export interface NodeChoice {
  /** Patterns; none means every node. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/**
 * Tells why a node is not chosen; undefined for those that are. Excluding wins over including.
 * Throws `usage` for a pattern that matches no node of the model.
 * @example const leaveOut = nodeChooser(model, { include: [], exclude: ['op:Gather'] });
 */
export function nodeChooser(
  model: Model,
  { include, exclude }: NodeChoice,
): (node: Node) => string | undefined {
  checkPatterns(include, model.allNodes(), 'include');
  checkPatterns(exclude, model.allNodes(), 'exclude');
  const included = nodeMatcher(include);
  const excluded = nodeMatcher(exclude);
  return (node) => {
    if (excluded(node)) return 'excluded by the caller';
    return include.length > 0 && !included(node) ? 'not included by the caller' : undefined;
  };
}

/**
 * True for nodes that any of the patterns matches.
 * @example const excluded = nodeMatcher(['op:Gather', '/head/*']);
 */
export function nodeMatcher(patterns: readonly string[]): NodePredicate {
  const tests = patterns.map(matcherOf);
  return (node) => tests.some((test) => test(node));
}

/**
 * Throws `usage` for a pattern that matches no node: most likely a typing error, which would
 * otherwise pass for an instruction that was followed.
 */
export function checkPatterns(
  patterns: readonly string[],
  nodes: Iterable<Node>,
  option: string,
): void {
  const open = new Map(patterns.map((pattern) => [pattern, matcherOf(pattern)]));
  for (const node of nodes) {
    for (const [pattern, test] of open) if (test(node)) open.delete(pattern);
    if (open.size === 0) return;
  }
  const unmatched = [...open.keys()];
  if (unmatched.length > 0) {
    throw new PareError('usage', `${option}: "${unmatched[0]}" matches no node of the model`, {
      hint: 'pare inspect --nodes lists the names; op:Conv chooses by operator, * is a wildcard',
    });
  }
}

function matcherOf(pattern: string): NodePredicate {
  if (pattern.startsWith('op:')) {
    const wanted = wildcard(pattern.slice(3));
    return (node) => wanted.test(node.op) || wanted.test(node.opType);
  }
  const wanted = wildcard(pattern);
  // A name that itself contains '*' must still be able to name its node.
  return (node) => node.label === pattern || wanted.test(node.label);
}

/** Whether a pattern is this name, or a wildcard over it; for what is no node, such as a value. */
export function isNamedBy(pattern: string, name: string): boolean {
  return pattern === name || wildcard(pattern).test(name);
}

function wildcard(pattern: string): RegExp {
  const escaped = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`, 's');
}
