/**
 * One recipe with a promise: the fewest nodes are left in float, or get 16-bit activations, so that
 * it is kept. The search is that of relax.ts; this only says what goes in and what comes out.
 */

import { evaluate } from '../measure/evaluate.js';
import type { Evaluation } from '../measure/evaluation.js';
import type { Candidate } from './candidate.js';
import { namedModel, qualityOf } from './measuring.js';
import { changedBy, damageSamples, rankNodes, without } from './node-damage.js';
import { brokenLimits } from './promise.js';
import { type RelaxRequest, relaxCandidate } from './relax-candidate.js';

export interface Kept {
  readonly candidate: Candidate;
  readonly evaluation: Evaluation;
  /** Labels of the nodes, the worst first. */
  readonly nodes: readonly string[];
}

/** The candidate itself where it keeps the promise; undefined when even half of the nodes do not help. */
export async function keepFewest(request: RelaxRequest): Promise<Kept | undefined> {
  const { original, candidate, dataset, engine, samples, promise, context } = request;
  const [, evaluation] = await evaluate([original, namedModel(candidate)], dataset, engine, {
    indices: samples.evaluate,
    signal: context.signal,
  });
  if (brokenLimits(promise, qualityOf(evaluation!)).length === 0) {
    return { candidate, evaluation: evaluation!, nodes: [] };
  }
  return relaxCandidate(request);
}

/** The candidate without the worst `count` nodes, whatever that makes of it. */
export async function keepWorst(
  request: RelaxRequest,
  count: number,
): Promise<Pick<Kept, 'candidate' | 'nodes'>> {
  if (count === 0) return { candidate: request.candidate, nodes: [] };
  const samples = [];
  const chosen = request.samples.search.subarray(0, damageSamples);
  for await (const sample of request.dataset.samples(chosen)) samples.push(sample);
  const damage = await rankNodes(request, changedBy(request.candidate, request.relax), samples);
  const ranked = [...damage].sort((a, b) => a.snr - b.snr).map(({ node }) => node);
  const nodes = ranked.slice(0, count);
  return { candidate: await without(request, nodes), nodes };
}
