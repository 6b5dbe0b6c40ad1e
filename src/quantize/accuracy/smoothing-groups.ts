/**
 * Values whose channels lie on the last axis, each with all linear layers that take it: one factor
 * per channel serves them all, such as the queries, keys and values of attention. Finds them and
 * changes nothing.
 */
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import type { ReportBuilder } from '../../pass.js';
import { isAnnotationPart } from '../../simplify/edit.js';
import { knownDims } from '../../simplify/known.js';
import { type Linear, linearOf, whyNotChange } from '../../simplify/linear.js';
import { lastAxisRole } from './last-axis-roles.js';

/** One way from the value to its layers: the use that is to take the scaled value. */
export interface SmoothingUse {
  readonly node: Node;
  readonly index: number;
}

export interface SmoothingGroup {
  readonly value: Value;
  readonly channels: number;
  /** Layers, in graph order. */
  readonly consumers: readonly Node[];
  /** Uses of the value that lead to them and to nothing else. */
  readonly uses: readonly SmoothingUse[];
  /** Others take the value too, so that whoever makes it cannot scale it. */
  readonly isShared: boolean;
}

/** Main graph, in graph order. Shapes must be known. Layers that cannot take part are reported. */
export function findSmoothingGroups(
  model: Model,
  allowed: (node: Node) => string | undefined,
  report: ReportBuilder,
): SmoothingGroup[] {
  const found = new Map<Value, { consumers: Node[]; channels: number }>();
  for (const node of model.graph.nodes) {
    const linear = linearOf(node);
    if (!linear) continue;
    const reason = 'reason' in linear ? linear.reason : (allowed(node) ?? whyNotSmooth(linear));
    if (reason || 'reason' in linear) {
      report.skip(node, reason!);
      continue;
    }
    const root = rootOf(node.input(linear.dataIndex));
    const group = found.get(root) ?? { consumers: [], channels: linear.layout.inChannels };
    found.set(root, group);
    group.consumers.push(node);
  }
  const groups: SmoothingGroup[] = [];
  for (const [value, { consumers, channels }] of found) {
    const layers = new Set(consumers);
    const uses = value.uses.filter((use) => leadsTo(use, layers));
    if (uses.length === 0) {
      // A reshape on the way has other users: what they take must stay as it is.
      for (const node of consumers) report.skip(node, `others take the input of ${node.label} too`);
      continue;
    }
    const isShared = uses.length < value.uses.length || value.isOutput;
    const reached = consumers.filter((node) =>
      uses.some((use) => leadsTo(use, new Set([node]), true)),
    );
    for (const node of consumers) {
      if (!reached.includes(node)) report.skip(node, `others take the input of ${node.label} too`);
    }
    groups.push({ value, channels, consumers: reached, uses, isShared });
  }
  return groups;
}

/** As the linear operators see it; undefined when it can be smoothed. */
export function smoothLinear(node: Node): Linear {
  return linearOf(node) as Linear;
}

function whyNotSmooth(linear: Linear): string | undefined {
  const { axis, rank } = linear.input;
  if (axis !== -1 && axis + 1 !== rank) {
    return `${linear.node.op} has its channels on axis ${axis}: see equalize`;
  }
  return whyNotChange(linear, 0);
}

/** The value before reshapes that keep the last axis. */
function rootOf(value: Value): Value {
  const { producer } = value;
  if (!producer || lastAxisRole(producer)?.kind !== 'reshape') return value;
  const before = producer.input(0);
  return keepsLastAxis(before, value) ? rootOf(before) : value;
}

function keepsLastAxis(before: Value, after: Value): boolean {
  const channels = knownDims(after)?.at(-1);
  return typeof channels === 'number' && knownDims(before)?.at(-1) === channels;
}

/** Every end of the use is one of the layers (with `any`: at least one). */
function leadsTo({ node, index }: SmoothingUse, layers: ReadonlySet<Node>, any = false): boolean {
  if (layers.has(node))
    return linearOf(node) !== undefined && smoothLinear(node).dataIndex === index;
  if (lastAxisRole(node)?.kind !== 'reshape' || index !== 0) return false;
  const output = node.output();
  if (!keepsLastAxis(node.input(0), output) || output.isOutput || isAnnotationPart(output)) {
    return false;
  }
  const ends = output.uses.map((use) => leadsTo(use, layers, any));
  return any ? ends.some(Boolean) : ends.length > 0 && ends.every(Boolean);
}
