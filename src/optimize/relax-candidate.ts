/**
 * Rescues a candidate that loses too much: measures the damage of each of its nodes alone, and
 * makes the candidate again without the worst of them.
 */
import type { Dataset, Sample } from '../data/dataset.js';
import { evaluate } from '../measure/evaluate.js';
import type { Evaluation } from '../measure/evaluation.js';
import type { Candidate } from './candidate.js';
import { type ChosenSamples, namedModel, qualityOf } from './measuring.js';
import { changedBy, type DamageRequest, damageSamples, rankNodes, without } from './node-damage.js';
import { brokenLimits, loosen, type QualityPromise } from './promise.js';
import { relax } from './relax.js';

export interface RelaxRequest extends DamageRequest {
  readonly promise: QualityPromise;
  readonly dataset: Dataset;
  readonly samples: ChosenSamples;
}

export interface Relaxed {
  readonly candidate: Candidate;
  readonly evaluation: Evaluation;
  /** What is left out, the worst first. */
  readonly nodes: readonly string[];
}

/** The candidate with the fewest nodes in float that keeps the promise; undefined when none does. */
export async function relaxCandidate(request: RelaxRequest): Promise<Relaxed | undefined> {
  const { candidate, samples, dataset, promise } = request;
  const changed = changedBy(candidate, request.relax);
  if (changed.size < 2) return undefined;
  const search = await collect(dataset, samples.search);
  const damage = await rankNodes(request, changed, search.slice(0, damageSamples));
  const found = await relax(damage, async (excluded) => {
    const variant = await without(request, excluded);
    const evaluation = await evaluateOn(request, variant, samples.search);
    const loose = loosen(promise, evaluation.tokens?.n ?? evaluation.samples);
    return brokenLimits(loose, qualityOf(evaluation)).length === 0;
  });
  if (!found) return undefined;
  // Few samples may let pass what the evaluation does not: then a few more nodes stay float.
  for (const more of [0, 1, 2, 4, 8]) {
    const excluded = found.ranked.slice(0, found.count + more).map(({ node }) => node);
    if (excluded.length >= changed.size) break;
    const rescued = await without(request, excluded);
    const evaluation = await evaluateOn(request, rescued, samples.evaluate);
    if (brokenLimits(promise, qualityOf(evaluation)).length === 0) {
      return { candidate: rescued, evaluation, nodes: excluded };
    }
  }
  return undefined;
}

async function evaluateOn(
  { original, dataset, engine, context }: RelaxRequest,
  candidate: Candidate,
  indices: Uint32Array,
): Promise<Evaluation> {
  const models = [original, namedModel(candidate)];
  const { signal } = context;
  const [, evaluation] = await evaluate(models, dataset, engine, { indices, signal });
  return evaluation!;
}

async function collect(dataset: Dataset, indices: Uint32Array): Promise<Sample[]> {
  const samples: Sample[] = [];
  for await (const sample of dataset.samples(indices)) samples.push(sample);
  return samples;
}
