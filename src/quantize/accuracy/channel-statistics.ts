/**
 * Largest magnitude and mean square of every channel of values, over samples, for passes that
 * balance channels. Changes no model.
 */
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import { type PassContext, requireEngine } from '../../pass.js';
import { collectChannels } from '../calibrate/channels.js';

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
  const requests = names.map((name) => ({ name, axis: 1 }));
  const found = await collectChannels(model, engine, requests, context.samples, context);
  return new Map(
    [...found].map(([name, { min, max, meanSquare }]) => [
      name,
      { peaks: max.map((most, c) => Math.max(most, -min[c]!)), meanSquares: meanSquare },
    ]),
  );
}
