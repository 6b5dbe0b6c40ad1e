#!/usr/bin/env node
// A pass of your own: an edit of the graph with options that are checked, and a report of what it
// changed and what it left alone. This one puts a Softmax behind every output of logits, so that
// the model returns probabilities.
//
//   npm run build
//   node examples/custom-pass.mjs
//
// Options are a schema of zod/mini: in a project of your own, `npm install zod` beside pare.
import { fileURLToPath } from 'node:url';
import { applyPass, definePass, printModel } from 'pare';
import { openModel } from 'pare/node';
import * as z from 'zod/mini';

const addSoftmax = definePass({
  name: 'add-softmax',
  summary: 'Puts a Softmax behind the outputs, so that the model returns probabilities.',
  options: z.object({
    /** Names of outputs to leave as they are. */
    exclude: z._default(z.array(z.string()), []),
  }),
  // The model is a copy: a pass edits it, and the caller's model stays as it was.
  async run({ graph }, { exclude }) {
    const changed = [];
    const skipped = [];
    for (const output of [...graph.outputs]) {
      const node = output.producer?.label ?? output.name;
      const op = output.producer?.op ?? '';
      const reason = exclude.includes(output.name)
        ? 'excluded by the caller'
        : output.dataType !== 'float' && 'its output is not float';
      if (reason) {
        skipped.push({ node, op, reason });
        continue;
      }
      const softmax = graph.addNode({
        opType: 'Softmax',
        name: graph.freshNodeName('softmax'),
        inputs: [output],
        attributes: { axis: -1 },
      });
      // The new value takes over the name, the type and the place among the outputs.
      graph.replaceOutput(output, softmax.output());
      changed.push({ node, op, what: 'Softmax behind its output' });
    }
    return { changed, skipped, notes: [] };
  },
});

const path = fileURLToPath(new URL('../assets/digits.onnx', import.meta.url));
const { model, close } = await openModel(path);
try {
  const { model: result, report } = await applyPass(model, addSoftmax, {});
  for (const { node, op, what } of report.changed) console.log(`${op} "${node}": ${what}`);
  for (const { node, op, reason } of report.skipped) console.log(`${op} "${node}": ${reason}`);
  console.log(await printModel(result, { weights: 'none' }));
} finally {
  await close();
}
