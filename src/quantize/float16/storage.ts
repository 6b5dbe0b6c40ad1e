/**
 * Weights stored as float16 with a Cast behind them, which every runtime folds at load: half the
 * file, the speed and memory of float32. Works on every operator, since types do not change.
 */
import { throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import { Tensor } from '../../onnx/tensor.js';
import { type PassContext, ReportBuilder } from '../../pass.js';
import { nodeChooser } from '../../pattern.js';
import { dropWeightInputs } from '../../simplify/drop-weight-inputs.js';
import { fixedReason, floatConstants, type StoredConstant, storeAs } from '../float-constants.js';
import { type Float16Options, rangeProblem } from './options.js';

export async function storeHalf(
  model: Model,
  options: Float16Options,
  context: PassContext,
): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const leaveOut = nodeChooser(model, options);
  report.notes.push(...(await dropWeightInputs.run(model, {}, context)).notes);
  for (const constant of floatConstants(model)) {
    throwIfAborted(context.signal);
    const { value, tensor, user } = constant;
    const floats = await tensor.floats();
    const reason = reasonToLeave(constant, options, leaveOut) ?? rangeProblem(floats);
    if (reason) {
      report.skip(user, `${value.name}: ${reason}`);
      continue;
    }
    storeAs(constant, Tensor.of('float16', tensor.dims, floats));
    report.change(user, `${value.name} [${tensor.dims.join(',')}] stored as float16`);
  }
  return report;
}

function reasonToLeave(
  constant: StoredConstant,
  { minElements }: Float16Options,
  leaveOut: (node: Node) => string | undefined,
): string | undefined {
  const { value, tensor } = constant;
  const fixed = fixedReason(constant);
  if (fixed) return fixed;
  if (tensor.size < Math.max(1, minElements)) {
    return `${tensor.size} elements, fewer than minElements ${minElements}`;
  }
  // Shared constants change for all their users, so any of them can keep one as it is.
  for (const { node } of value.uses) {
    const reason = leaveOut(node);
    if (reason) return reason;
  }
  return undefined;
}
