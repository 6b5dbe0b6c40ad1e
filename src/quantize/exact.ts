/**
 * Constants whose elements are all small multiples of one number (attention masks of 0 and -1e9,
 * ternary weights, tables of steps) as int8 with Cast and Mul behind them. Lossless: the product
 * of every element is the same float32 bit for bit, and runtimes fold it at load.
 */
import { throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import { raiseOpset } from '../graph/opset/upgrade.js';
import { Tensor } from '../onnx/tensor.js';
import type { PassContext, ReportBuilder } from '../pass.js';
import type { NodeChoice } from '../pattern.js';
import { nodeChooser } from '../pattern.js';
import { fixedReason, floatConstants, storeAs } from './float-constants.js';

/** Smaller constants are not worth two nodes. */
const minElements = 4096;

/** Those that do not fit stay as they are, without a word: they were no candidates. */
export async function storeExactly(
  model: Model,
  options: NodeChoice,
  context: PassContext,
  report: ReportBuilder,
): Promise<void> {
  const leaveOut = nodeChooser(model, options);
  for (const constant of floatConstants(model)) {
    throwIfAborted(context.signal);
    const { value, tensor, user } = constant;
    if (tensor.size < minElements || fixedReason(constant)) continue;
    if (value.uses.some(({ node }) => leaveOut(node))) continue;
    const exact = exactInt8(await tensor.floats());
    if (!exact) continue;
    // Mul broadcasts, and Cast takes int8 with a type code, from opset 7 on.
    report.notes.push(...(await raiseOpset(model, 7, context)).notes);
    const stored = Tensor.of('int8', tensor.dims, exact.values);
    storeAs(constant, stored, Tensor.scalar('float', exact.scale));
    report.change(user, `${value.name} [${tensor.dims.join(',')}] stored exactly as int8`);
  }
}

/**
 * int8 numbers and a scale with `fround(values[i] * scale)` the same bits as `floats[i]` for all
 * i; undefined where there are none (a negative zero, too many different numbers, no common step).
 */
export function exactInt8(
  floats: Float32Array,
): { readonly values: Int8Array; readonly scale: number } | undefined {
  const distinct = new Set<number>();
  for (const value of floats) {
    if (!Number.isFinite(value) || Object.is(value, -0)) return undefined;
    distinct.add(value);
    if (distinct.size > 255) return undefined;
  }
  distinct.delete(0);
  const scale = commonStep([...distinct]);
  if (scale === undefined) return undefined;
  return { values: Int8Array.from(floats, (value) => Math.round(value / scale)), scale };
}

/** The largest step that all numbers are at most 127 of, as float32 arithmetic has it. */
function commonStep(numbers: readonly number[]): number | undefined {
  if (numbers.length === 0) return 1;
  const smallest = numbers.reduce((least, value) => Math.min(least, Math.abs(value)), Infinity);
  for (let count = 1; count <= 127; count++) {
    const step = Math.fround(smallest / count);
    const fits = numbers.every((value) => {
      const times = Math.round(value / step);
      return Math.abs(times) <= 127 && Math.fround(times * step) === value;
    });
    if (fits) return step;
  }
  return undefined;
}
