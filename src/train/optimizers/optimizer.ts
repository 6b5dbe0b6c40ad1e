/**
 * What an optimizer is: the state that it keeps per weight, and the nodes that make a new weight
 * and a new state of a gradient. It sees one weight, or several as one vector; schedules and
 * clipping are not its business. Steps are computed in the graph, so that weights need not leave the runtime.
 */
import type { Emitter } from '../../graph/emitter.js';
import type { Value } from '../../graph/value.js';
import type { OptimizerOptions } from './options.js';

export interface UpdateRequest {
  readonly emitter: Emitter;
  readonly weight: Value;
  /** Of the shape of the weight. */
  readonly gradient: Value;
  /** By slot. */
  readonly state: Readonly<Record<string, Value>>;
  /** Scalars. `step` counts from 1. */
  readonly learningRate: Value;
  readonly step: Value;
  /** Weight decay of this weight: 0 for biases and norms. */
  readonly weightDecay: number;
  /**
   * Of a typical entry of this weight, as training found it; see `relative` of the options. One per
   * entry where weights of several magnitudes are one vector.
   */
  readonly magnitude: number | Value;
  /** Factors on the learning rate, of the shape of the weight. Default none. */
  readonly rate?: Value | undefined;
  /** Of the weight; undefined where several are one vector. */
  readonly dims?: readonly number[] | undefined;
  /** 1 where an entry may move and 0 where it is zero and stays, of the weight's shape. Default all. */
  readonly keep?: Value | undefined;
  readonly options: OptimizerOptions;
}

/** What an optimizer has to know of a weight before there is a step. */
export interface WeightTraits {
  readonly dims: readonly number[];
  /** Whether entries leave while it trains. */
  readonly isSparse: boolean;
}

/** The direction times the rates of its entries. Numbers of the whole step are multiplied first. */
export function stepAlong(
  { emitter: e, rate }: Pick<UpdateRequest, 'emitter' | 'rate'>,
  direction: Value,
  factors: readonly (number | Value)[],
  perEntry: readonly Value[] = [],
): Value {
  const [first, ...others] = factors as [number | Value, ...(number | Value)[]];
  const whole = others.reduce<number | Value>((all, factor) => e.mul(all, factor), first);
  const own = rate ? [...perEntry, rate] : perEntry;
  return own.reduce((step, factor) => e.mul(step, factor), e.mul(direction, whole));
}

export interface Optimizer {
  readonly name: string;
  /** One tensor of the weight's shape each, zeros at first. */
  slots(options: OptimizerOptions, weight: WeightTraits): readonly string[];
  /** The slot that is a running mean of squared gradients, up to a factor for all weights. */
  readonly meanSquare?: string;
  /** Whether entries of such a weight move by what the others do, so that it stays by itself. */
  mixes?(dims: readonly number[]): boolean;
  update(request: UpdateRequest): {
    readonly weight: Value;
    readonly state: Readonly<Record<string, Value>>;
  };
}
