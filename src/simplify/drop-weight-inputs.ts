/**
 * Before IR version 4 every initializer had to be listed among the graph inputs, without meaning
 * that a caller may override it. This takes them off the list and raises the IR version to 4, so
 * that they are constants like everywhere else. From IR 4 on such an input is a choice, and stays.
 */
import * as z from 'zod/mini';
import { definePass, ReportBuilder } from '../pass.js';

export const dropWeightInputs = definePass({
  name: 'drop-weight-inputs',
  summary: 'Takes initializers off the graph inputs of models before IR version 4.',
  options: z.object({}),
  async run(model) {
    const report = new ReportBuilder();
    if (model.irVersion >= 4) return report;
    const { inputs } = model.graph;
    const kept = inputs.filter((input) => !input.initializer && !input.sparse);
    const dropped = inputs.length - kept.length;
    if (dropped === 0) return report;
    inputs.splice(0, inputs.length, ...kept);
    report.note(
      `IR version raised from ${model.irVersion} to 4: ${dropped} initializers are no inputs any more`,
    );
    model.irVersion = 4;
    return report;
  },
});
