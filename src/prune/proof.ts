/**
 * Proves a cut: the model with the slices set to zero and the model without them must compute the
 * same. Also tells how far zeroing moved the outputs; where it moved nothing, the proof is blind,
 * since a wrong cut would look the same.
 *
 * Zeroing is what removal means: a unit that makes zeros, and that nobody multiplies by anything
 * but zero, is not there. Divisors are left as they are, since 0/0 is no number.
 */
import * as z from 'zod/mini';
import type { EngineSession, Feeds, HostTensor, OptimizationLevel } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { couplingOf } from '../ops/coupling.js';
import { type PassContext, passContext, requireEngine } from '../pass.js';
import { masksOf } from './cut-masks.js';
import type { Coupling, Cut } from './family.js';
import { proofFeeds } from './proof-feeds.js';
import { type ZeroPoint, zeroSlices } from './slice-tensor.js';

/** Above this the two models do not compute the same. */
export const proofTolerance = 1e-5;

/**
 * Deep networks of 6-bounded activations amplify rounding: a MobileNetV2 with random weights moves
 * by 1.5e-5 when only the runtime's fusions change. An error as small as that, and a thousandth of
 * what the cut itself does, is no wrong slice.
 */
const noiseFactor = 4;
const effectShare = 1000;

export const proofOptions = z.object({
  /** Inputs to compare on. */
  inputs: z._default(z.int().check(z.positive()), 1),
  dims: z.optional(z.record(z.string(), z.union([z.number(), z.array(z.number())]))),
});

export type ProofOptions = z.input<typeof proofOptions> & {
  /** Inputs of your own instead of seeded ones. */
  readonly feeds?: readonly Feeds[];
};

/** Plain JSON, for receipts. */
export interface Proof {
  /** max |zeroed - cut| / max |zeroed|, the largest of all outputs and inputs. */
  readonly relativeError: number;
  /** max |zeroed - original| / max |original|, likewise. */
  readonly effect: number;
  /** Zeroing does not show in the outputs: the error says nothing. */
  readonly blind: boolean;
  /**
   * How far rounding alone moves the zeroed model: its outputs against those of the same model with
   * the runtime's fusions. Measured only where the error is not below the tolerance anyway.
   */
  readonly noise?: number;
  /** The error is below the tolerance, or no more than rounding makes and far below the effect. */
  readonly holds: boolean;
  readonly inputs: number;
  readonly seed: number;
}

/**
 * Throws `engine` when one of the models does not run.
 *
 * @example
 * const smaller = await cutModel(coupling, cut);
 * const { relativeError, blind } = await proveCut(coupling, cut, smaller, {}, { engine });
 */
export async function proveCut(
  coupling: Coupling,
  cut: Cut,
  smaller: Model,
  options: ProofOptions = {},
  context: Partial<PassContext> = {},
): Promise<Proof> {
  const full = passContext(context);
  const engine = requireEngine(full, 'proof');
  const { inputs: count, dims } = z.parse(proofOptions, {
    inputs: options.inputs,
    dims: options.dims,
  });
  const { seed, signal } = full;
  const feeds = options.feeds ?? proofFeeds(coupling, { count, seed, dims });
  const run = async (model: Model, optimization: OptimizationLevel = 'disabled') => {
    throwIfAborted(signal);
    const session = await engine.createSession(await modelSource(model), { optimization, signal });
    return await runAll(session, feeds);
  };
  const original = await run(coupling.model);
  const zeroedCopy = await zeroedModel(coupling, cut);
  const zeroed = await run(zeroedCopy);
  const relativeError = distance(zeroed, await run(smaller));
  const effect = distance(original, zeroed);
  const blind = !(effect > proofTolerance);
  const result = { relativeError, effect, blind, inputs: feeds.length, seed };
  if (relativeError < proofTolerance) return { ...result, holds: true };
  if (!(relativeError < effect / effectShare)) return { ...result, holds: false };
  const noise = distance(zeroed, await run(zeroedCopy, 'all'));
  return { ...result, noise, holds: relativeError < noiseFactor * noise };
}

/** The model with the cut slices of all constants at zero. */
export async function zeroedModel(coupling: Coupling, cut: Cut): Promise<Model> {
  const copy = cloneModel(coupling.model);
  for (const [name, masks] of masksOf(coupling, cut)) {
    const value = copy.graph.value(name);
    if (!value.constant || mustStay(value)) continue;
    const tensor = await zeroSlices(value.constant, masks, await zeroPointOf(value));
    if (value.initializer) value.initializer = tensor;
    else value.producer!.setAttribute('value', tensor);
  }
  return copy;
}

/** Divisors, and the numbers that say what zero is. */
function mustStay(value: Value): boolean {
  return value.uses.some(({ node, index }) => {
    const rule = couplingOf(node.op);
    return rule?.divisors?.includes(index) || rule?.zeroPoints?.some(({ by }) => by === index);
  });
}

/** Which number is zero in a quantized constant. */
async function zeroPointOf(value: Value): Promise<ZeroPoint | undefined> {
  for (const { node, index } of value.uses) {
    const place = couplingOf(node.op)?.zeroPoints?.find(({ of }) => of === index);
    const numbers = place && (await node.constantInput(place.by)?.numbers());
    if (numbers) return { numbers, axis: place.axis(node, value.constant!.dims.length) };
  }
  return undefined;
}

type Outputs = Record<string, HostTensor>;

async function runAll(session: EngineSession, feeds: readonly Feeds[]): Promise<Outputs[]> {
  try {
    const results: Outputs[] = [];
    for (const each of feeds) results.push(await session.run(each));
    return results;
  } finally {
    await session.release();
  }
}

/** Infinite where shapes differ, or where only one is a number. */
function distance(a: readonly Outputs[], b: readonly Outputs[]): number {
  let worst = 0;
  a.forEach((outputs, i) => {
    for (const [name, tensor] of Object.entries(outputs)) {
      worst = Math.max(worst, tensorDistance(tensor, b[i]![name]!));
    }
  });
  return worst;
}

function tensorDistance(a: HostTensor, b: HostTensor): number {
  if (a.dims.join() !== b.dims.join()) return Number.POSITIVE_INFINITY;
  if (a.dataType === 'string') {
    return String(a.data) === String(b.data) ? 0 : Number.POSITIVE_INFINITY;
  }
  const one = float32Of(a);
  const two = float32Of(b);
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < one.length; i++) {
    const x = one[i]!;
    const y = two[i]!;
    if (Object.is(x, y)) continue;
    const gap = Math.abs(x - y);
    if (!Number.isFinite(gap)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, gap);
  }
  if (difference === 0) return 0;
  for (const x of one) if (Number.isFinite(x)) scale = Math.max(scale, Math.abs(x));
  return scale === 0 ? Number.POSITIVE_INFINITY : difference / scale;
}
