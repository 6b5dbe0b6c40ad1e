/**
 * The driver of rewrites that remove nodes which hand an input on unchanged. A rewrite is a table
 * of rules by operator; this file knows none of them.
 */
import * as z from 'zod/mini';
import type { Node } from '../graph/node.js';
import { definePass, type Pass, ReportBuilder } from '../pass.js';
import { replaceValue, whyNotReplace } from './edit.js';

/**
 * Which input the node's first output equals: its index; undefined when the node does something;
 * a reason when it does nothing but has to stay.
 */
export type PassThroughRule = (node: Node) => Promise<Verdict> | Verdict;

export type Verdict = number | undefined | { readonly reason: string };

export interface PassThrough {
  readonly name: string;
  readonly summary: string;
  readonly rules: Readonly<Record<string, PassThroughRule>>;
}

const noOptions = z.object({});

export function definePassThrough({ name, summary, rules }: PassThrough): Pass<typeof noOptions> {
  return definePass({
    name,
    summary,
    options: noOptions,
    async run(model) {
      const report = new ReportBuilder();
      for (const graph of [...model.allGraphs()]) {
        for (const node of graph.nodes) {
          if (!Object.hasOwn(rules, node.op)) continue;
          const verdict = await rules[node.op]!(node);
          if (verdict === undefined) continue;
          // Replacing an output of the graph renames the one that leaves.
          const { label, op } = node;
          const why = typeof verdict === 'object' ? verdict.reason : removeAt(node, verdict);
          if (why) report.skip(node, why);
          else report.changed.push({ node: label, op, what: 'removed' });
        }
      }
      return report;
    },
  });
}

/** Removes the node; returns the reason when it cannot. */
function removeAt(node: Node, index: number): string | undefined {
  const output = node.output();
  const input = node.input(index);
  if (node.outputs.some((other) => other && other !== output && !other.isUnused)) {
    return 'its second output is used';
  }
  const why = whyNotReplace(output, input);
  if (why) return why;
  if (!input.initializer) input.type ??= output.type;
  replaceValue(output, input);
  node.graph!.removeNode(node);
  return undefined;
}
