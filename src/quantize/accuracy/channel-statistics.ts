/**
 * Largest magnitude and mean square of every channel of values, over samples. Reductions inside
 * the graph: two numbers per channel and sample come back. Changes no model.
 */
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError, throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { type PassContext, requireEngine } from '../../pass.js';

/** One entry per channel in both. */
export interface ChannelStatistics {
  /** max |x| */
  readonly peaks: Float64Array;
  /** E[x^2] */
  readonly meanSquares: Float64Array;
}

/**
 * @param names float values of the main graph with their channels on axis 1; ranks are known
 * @throws PareError `usage` without samples, `invalid-data` when there is none
 */
export async function channelStatistics(
  model: Model,
  names: readonly string[],
  context: PassContext,
  pass: string,
): Promise<Map<string, ChannelStatistics>> {
  const engine = requireEngine(context, pass);
  if (!context.samples) {
    throw new PareError('usage', `${pass}: needs samples to see the ranges of channels`, {
      hint: 'give data with --data PATH; labels are not needed',
    });
  }
  const probe = cloneModel(model);
  const ports = names.map((name) => {
    const value = probe.graph.value(name);
    const magnitude = probe.graph.addNode({ opType: 'Abs', inputs: [value] }).output();
    return {
      name,
      peaks: addReduction(magnitude, 'ReduceMax', value),
      squares: addReduction(
        probe.graph.addNode({ opType: 'Mul', inputs: [value, value] }).output(),
        'ReduceMean',
        value,
      ),
    };
  });
  const fetches = ports.flatMap(({ peaks, squares }) => [peaks, squares]);
  const session = await engine.createSession(await modelSource(probe), { optimization: 'basic' });
  const task = context.progress.task(`${pass}: channels`);
  const found = new Map<string, { peaks: Float64Array; meanSquares: Float64Array }>();
  let count = 0;
  try {
    for await (const feeds of context.samples()) {
      throwIfAborted(context.signal);
      const results = await session.run(feeds, fetches);
      for (const { name, peaks, squares } of ports) {
        const peak = float32Of(results[peaks]!);
        const square = float32Of(results[squares]!);
        let sum = found.get(name);
        if (!sum) {
          sum = {
            peaks: new Float64Array(peak.length),
            meanSquares: new Float64Array(peak.length),
          };
          found.set(name, sum);
        }
        for (let c = 0; c < peak.length; c++) {
          sum.peaks[c] = Math.max(sum.peaks[c]!, peak[c]!);
          sum.meanSquares[c]! += square[c]!;
        }
      }
      task.update(++count);
    }
  } finally {
    task.end();
    await session.release();
  }
  if (count === 0) throw new PareError('invalid-data', `${pass}: there is no sample`);
  for (const { meanSquares } of found.values()) {
    for (let c = 0; c < meanSquares.length; c++) meanSquares[c]! /= count;
  }
  return found;
}

/** Over all axes but axis 1 of `like`; returns the name of the new output. */
function addReduction(value: Value, opType: 'ReduceMax' | 'ReduceMean', like: Value): string {
  const { graph } = value;
  const axes = Array.from({ length: like.dims!.length }, (_, axis) => axis).filter((a) => a !== 1);
  // The axes became an input with opset 18.
  const asInput = (graph.opset() ?? 13) >= 18;
  const output = graph
    .addNode({
      opType,
      inputs: asInput
        ? [value, graph.addInitializer('channel_axes', Tensor.of('int64', [axes.length], axes))]
        : [value],
      attributes: { keepdims: 0, ...(!asInput && { axes }) },
    })
    .output();
  output.type = tensorType('float');
  graph.outputs.push(output);
  return output.name;
}
