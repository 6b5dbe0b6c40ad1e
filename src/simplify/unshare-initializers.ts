/**
 * Gives each use of an initializer a copy of its own name, so that a later pass can change one
 * without the others (pruning cuts channels of one layer). The bytes are not copied in memory.
 */
import * as z from 'zod/mini';
import { definePass, ReportBuilder } from '../pass.js';
import { isAnnotationPart } from './edit.js';

export const unshareInitializers = definePass({
  name: 'unshare-initializers',
  summary: 'Gives each user of an initializer its own copy.',
  options: z.object({}),
  async run(model) {
    const report = new ReportBuilder();
    for (const graph of [...model.allGraphs()]) {
      for (const value of graph.initializers) {
        const uses = value.uses;
        if (uses.length < 2 || !value.isConstant) continue;
        if (isAnnotationPart(value)) {
          report.note(`${value.name} stays shared: a quantization annotation names it`);
          continue;
        }
        // The first use keeps the original, unless the graph returns that.
        for (const { node, index } of value.isOutput ? uses : uses.slice(1)) {
          node.setInput(index, graph.addInitializer(value.name, value.initializer!));
          report.change(node, `input ${index} is a copy of ${value.name} now`);
        }
      }
    }
    return report;
  },
});
