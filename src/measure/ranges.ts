/**
 * Smallest and largest number of every float value of a model over samples. The reductions are
 * nodes of the graph, so that three numbers per value come back from a run and no tensor does:
 * memory does not grow with the number of samples. The third tells of NaN, which ReduceMin and
 * ReduceMax of ONNX Runtime pass over (1.30, unless it is the first element).
 */
import type { Engine, Feeds } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';

export interface Range {
  readonly min: number;
  readonly max: number;
}

/**
 * @param names values of the main graph whose element type is float (float32)
 * @returns by name; a value that held NaN has min and max NaN; a value that was always empty is left out
 *
 * @example
 * const ranges = await valueRanges(model, engine, ['conv1_out'], batches);
 * ranges.get('conv1_out'); // { min: -3.2, max: 5.9 }
 */
export async function valueRanges(
  model: Model,
  engine: Engine,
  names: readonly string[],
  samples: AsyncIterable<Feeds>,
  signal?: AbortSignal,
): Promise<Map<string, Range>> {
  const probe = cloneModel(model);
  const { graph } = probe;
  const outputs = names.map((name) => ({
    name,
    min: reduceAll(graph.value(name), 'ReduceMin'),
    max: reduceAll(graph.value(name), 'ReduceMax'),
    // A sum of magnitudes is NaN when one of them is, and only then: infinities do not cancel.
    sum: reduceAll(graph.value(name), 'ReduceL1'),
  }));
  const session = await engine.createSession(await modelSource(probe), {
    // Fusions would hide the values between the nodes.
    optimization: 'disabled',
  });
  const ranges = new Map<string, Range>();
  try {
    const fetches = outputs.flatMap(({ min, max, sum }) => [min, max, sum]);
    for await (const feeds of samples) {
      throwIfAborted(signal);
      const results = await session.run(feeds, fetches);
      const numberOf = (output: string) => float32Of(results[output]!)[0]!;
      for (const { name, min, max, sum } of outputs) {
        if (Number.isNaN(numberOf(sum))) ranges.set(name, { min: Number.NaN, max: Number.NaN });
        else widen(ranges, name, numberOf(min), numberOf(max));
      }
    }
  } finally {
    await session.release();
  }
  return ranges;
}

/** One number over all axes; returns the name of the output. */
function reduceAll(value: Value, opType: string): string {
  const { graph } = value;
  const node = graph.addNode({ opType, inputs: [value], attributes: { keepdims: 0 } });
  const output = node.output();
  output.type = tensorType('float', []);
  graph.outputs.push(output);
  return output.name;
}

function widen(ranges: Map<string, Range>, name: string, min: number, max: number): void {
  // The reduction of an empty tensor is an infinity with the wrong sign.
  if (min > max) return;
  const seen = ranges.get(name);
  // Math.min and Math.max hand NaN on, which is what a broken value must show.
  ranges.set(
    name,
    seen ? { min: Math.min(seen.min, min), max: Math.max(seen.max, max) } : { min, max },
  );
}
