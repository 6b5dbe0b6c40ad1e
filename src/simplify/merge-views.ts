/**
 * Joins two nodes that only present their input in another order or shape: Transpose of
 * Transpose, and Reshape of Reshape, Flatten, Squeeze or Unsqueeze.
 */
import * as z from 'zod/mini';
import type { Node } from '../graph/node.js';
import { definePass, ReportBuilder } from '../pass.js';
import { isAnnotationPart } from './edit.js';
import { constantNumbers } from './known.js';

export const mergeViews = definePass({
  name: 'merge-views',
  summary: 'Joins consecutive Transpose nodes and consecutive Reshape nodes.',
  options: z.object({}),
  async run(model) {
    const report = new ReportBuilder();
    for (const graph of [...model.allGraphs()]) {
      for (const node of graph.nodes) {
        const rule = Object.hasOwn(rules, node.op) ? rules[node.op] : undefined;
        const first = rule && node.input(0).producer;
        // Used elsewhere too, the first would stay, and nothing be gained.
        if (!first || !node.input(0).onlyUse || isAnnotationPart(node.input(0))) continue;
        if (first.graph !== graph || !(await rule(node, first))) continue;
        report.change(node, `joined with ${first.label}`);
        node.setInput(0, first.input(0));
        graph.removeNode(first);
      }
    }
    return report;
  },
});

/** Makes the second node do the work of both; false when it cannot. */
type JoinRule = (second: Node, first: Node) => Promise<boolean> | boolean;

const rules: Readonly<Record<string, JoinRule>> = {
  Transpose: (second, first) => {
    const inner = permutationOf(first);
    const outer = permutationOf(second);
    if (first.op !== 'Transpose' || !inner || !outer || inner.length !== outer.length) return false;
    second.setAttribute(
      'perm',
      outer.map((axis) => inner[axis]!),
    );
    return true;
  },
  Reshape: async (second, first) => {
    if (!reshaping.has(first.op)) return false;
    const target = await constantNumbers(second, 1);
    // A zero copies a dim of the shape in between, or means an empty tensor.
    return target !== undefined && !target.includes(0);
  },
};

const reshaping: ReadonlySet<string> = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);

function permutationOf(node: Node): number[] | undefined {
  return node.attributes.get('perm')?.type === 'ints' ? node.ints('perm') : undefined;
}
