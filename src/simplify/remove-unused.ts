/**
 * Removes what no output depends on: nodes, initializers and functions. Graph inputs and outputs
 * stay, and so do operators of domains that pare does not know: they may have side effects.
 */
import * as z from 'zod/mini';
import type { Graph } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import { isPure } from '../ops/traits.js';
import { definePass, ReportBuilder } from '../pass.js';
import { isAnnotationPart } from './edit.js';

export const removeUnused = definePass({
  name: 'remove-unused',
  summary: 'Removes nodes, initializers and functions that no output depends on.',
  options: z.object({}),
  async run(model) {
    const report = new ReportBuilder();
    if (model.graph.outputs.length === 0) {
      report.note('the graph has no outputs, so nothing counts as unused');
      return report;
    }
    const graphs = [model.graph, ...model.functions.map(({ body }) => body)];
    for (const graph of graphs) removeFrom(graph, report);
    removeFunctions(model, report);
    return report;
  },
});

/** From the last node to the first, so that a whole chain leaves in one go. */
function removeFrom(graph: Graph, report: ReportBuilder): void {
  for (let node = graph.nodes.last; node; ) {
    const { previous } = node;
    if (node.outputs.every((output) => !output || output.isUnused)) {
      if (isPure(node)) {
        report.change(node, 'removed, its outputs are not used');
        graph.removeNode(node);
      } else {
        report.skip(node, 'its outputs are not used, but it may have side effects');
      }
    }
    if (node.graph) for (const inner of node.subgraphs) removeFrom(inner, report);
    node = previous;
  }
  for (const value of [...graph.values]) {
    if (value.producer || value.isInput || !value.isUnused || isAnnotationPart(value)) continue;
    if (value.initializer || value.sparse) {
      report.changed.push({ node: value.name, op: 'initializer', what: 'removed, it is not used' });
    }
    graph.removeValue(value);
  }
}

/** Functions may call functions: go on until every one left is called. */
function removeFunctions(model: Model, report: ReportBuilder): void {
  for (let found = true; found; ) {
    found = false;
    const called = new Set(Array.from(model.allNodes(), (n) => `${n.op}/${n.overload}`));
    for (const [at, fn] of [...model.functions.entries()].reverse()) {
      const op = fn.domain === '' ? fn.name : `${fn.domain}:${fn.name}`;
      if (called.has(`${op}/${fn.overload}`)) continue;
      model.functions.splice(at, 1);
      report.note(`removed the function ${op}, which nobody calls`);
      found = true;
    }
  }
}
