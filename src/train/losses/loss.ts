/**
 * What a loss is: a name, its options, and the nodes that make one number of an output and a
 * target. Smaller is better; means over the batch, so that batches of any size weigh alike.
 */
import type * as z from 'zod/mini';
import type { Emitter } from '../../graph/emitter.js';
import type { Value } from '../../graph/value.js';
import { type Dim, tensorType, type ValueType } from '../../graph/value-type.js';

export interface Loss<Schema extends z.ZodMiniType = z.ZodMiniType> {
  /** kebab-case, unique. */
  readonly name: string;
  /** One sentence for help and documentation. */
  readonly summary: string;
  readonly options: Schema;
  /** The type of a target input for this output. */
  target(output: Value, options: z.output<Schema>): ValueType;
  /** Appends the nodes; the result is a scalar. */
  append(e: Emitter, output: Value, target: Value, options: z.output<Schema>): Value;
}

export function defineLoss<Schema extends z.ZodMiniType>(loss: Loss<Schema>): Loss<Schema> {
  return Object.freeze(loss);
}

/** A target of the shape of the output, such as what a teacher gives. */
export function likeOutput(output: Value): ValueType {
  return tensorType('float', output.dims);
}

/** The dims of an output without one axis. */
export function withoutAxis(dims: readonly Dim[] | undefined, axis: number): Dim[] | undefined {
  return dims?.filter((_, at) => at !== (axis + dims.length) % dims.length);
}

/** The mean over everything. */
export function mean(e: Emitter, value: Value): Value {
  return e.reduce('ReduceMean', value, undefined, false);
}
