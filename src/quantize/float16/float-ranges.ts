/**
 * How large the float values of a model get: on the caller's samples, or on seeded random inputs
 * where there are none, which the report then says.
 */
import type { Engine, Feeds } from '../../engine/engine.js';
import { randomFeeds } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { messageOf, PareError, throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import { valueRanges } from '../../measure/ranges.js';
import type { PassContext } from '../../pass.js';

export interface FloatRanges {
  /** max|v| by value name; NaN where a value held NaN. */
  readonly magnitudes: ReadonlyMap<string, number>;
  readonly note: string | undefined;
}

/** Needs the values' types (inferShapes). */
export async function floatRanges(
  model: Model,
  engine: Engine,
  context: PassContext,
): Promise<FloatRanges> {
  const names: string[] = [];
  for (const value of model.graph.values) {
    const isTensor = value.type?.kind === 'tensor' && !value.initializer;
    if (isTensor && value.dataType === 'float') names.push(value.name);
  }
  const samples = context.samples ?? (() => randomSamples(model, engine, context.seed));
  const ranges = await rangesOrHint();
  const magnitudes = new Map<string, number>();
  for (const [name, { min, max }] of ranges) magnitudes.set(name, Math.max(-min, max));
  return {
    magnitudes,
    note: context.samples
      ? undefined
      : 'no samples given: the ranges were seen on random inputs, real ones may overflow',
  };

  async function rangesOrHint() {
    try {
      return await valueRanges(model, engine, names, samples(), context.signal);
    } catch (error) {
      throwIfAborted(context.signal);
      if (context.samples) throw error;
      throw new PareError(
        'data-mismatch',
        `float16: the model does not run on random inputs: ${messageOf(error)}`,
        { hint: 'give samples of its real inputs, or use the mode "storage"', cause: error },
      );
    }
  }
}

async function* randomSamples(model: Model, engine: Engine, seed: number): AsyncGenerator<Feeds> {
  const session = await engine.createSession(await modelSource(model), {
    optimization: 'disabled',
  });
  const ports = session.inputs;
  await session.release();
  for (let i = 0; i < 4; i++) yield randomFeeds(ports, { seed: seed + i });
}
