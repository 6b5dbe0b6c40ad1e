/**
 * Rescues a candidate that loses too much: measures the damage of each of its nodes alone, and
 * makes the candidate again without the worst of them.
 */
import type { Dataset, Sample } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import { evaluate } from '../measure/evaluate.js';
import type { Evaluation } from '../measure/evaluation.js';
import type { NamedModel } from '../measure/named-model.js';
import { measureVariants, type Variant } from '../measure/sensitivity.js';
import type { PassContext } from '../pass.js';
import { type Candidate, makeCandidate } from './candidate.js';
import { type ChosenSamples, namedModel, qualityOf } from './measuring.js';
import { brokenLimits, loosen, type QualityPromise } from './promise.js';
import { type Recipe, type RecipeContext, runRecipe, type Step } from './recipe.js';
import { type NodeDamage, relax } from './relax.js';
import { isCommonStep, type Relaxable } from './targets.js';

/** Samples for the damage of one node: the ranking needs few, since the worst stand out. */
const damageSamples = 16;

export interface RelaxRequest {
  readonly model: Model;
  readonly original: NamedModel;
  readonly candidate: Candidate;
  readonly relax: Relaxable;
  readonly promise: QualityPromise;
  readonly dataset: Dataset;
  readonly samples: ChosenSamples;
  readonly engine: Engine;
  readonly version: string;
  readonly context: PassContext & RecipeContext;
  /** Rankings that were measured already, by steps and nodes. */
  readonly rankings: Map<string, readonly NodeDamage[]>;
}

export interface Relaxed {
  readonly candidate: Candidate;
  readonly evaluation: Evaluation;
}

/** The candidate with the fewest nodes in float that keeps the promise; undefined when none does. */
export async function relaxCandidate(request: RelaxRequest): Promise<Relaxed | undefined> {
  const { candidate, samples, dataset, promise } = request;
  const changed = changedBy(candidate, request.relax);
  if (changed.size < 2) return undefined;
  const search = await collect(dataset, samples.search);
  const damage = await rank(request, changed, search.slice(0, damageSamples));
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
      return { candidate: rescued, evaluation };
    }
  }
  return undefined;
}

/** The step that changes a node, for every node that the steps in question change. */
function changedBy({ reports }: Candidate, { steps }: Relaxable): Map<string, number> {
  const changed = new Map<string, number>();
  for (const step of steps) {
    for (const { node, follows } of reports[step]!.changed) {
      if (!follows && !changed.has(node)) changed.set(node, step);
    }
  }
  return changed;
}

/** SNR of the outputs when one node alone is quantized, for every node. */
async function rank(
  request: RelaxRequest,
  nodes: ReadonlyMap<string, number>,
  samples: readonly Sample[],
): Promise<readonly NodeDamage[]> {
  const { candidate, engine, context, rankings, relax } = request;
  // The steps before are run once; each variant is one node of one step on top of them.
  const first = Math.min(...relax.steps);
  const before = candidate.recipe.slice(0, first);
  const key = JSON.stringify([
    before,
    relax.steps.map((step) => candidate.recipe[step]),
    [...nodes.keys()],
  ]);
  const known = rankings.get(key);
  if (known) return known;
  const base = await runRecipe(request.model, before, context);
  // What a cut has changed is not the damage of a node.
  const original = before.every(isCommonStep)
    ? request.original
    : { name: 'before', source: await modelSource(base.model) };
  const only = async function* (): AsyncGenerator<Variant> {
    for (const [node, step] of nodes) {
      yield {
        name: node,
        source: async () => {
          const alone = withOptions(candidate.recipe[step]!, { include: [node] });
          return modelSource((await runRecipe(base.model, [alone], context)).model);
        },
      };
    }
  };
  const task = context.progress.task('damage of each node', nodes.size);
  const damage: NodeDamage[] = [];
  try {
    const options = { signal: context.signal };
    for await (const { name, evaluation, error } of measureVariants(
      original,
      only(),
      samples,
      engine,
      options,
    )) {
      throwIfAborted(context.signal);
      // What the runtime refuses is as bad as it gets.
      const snr = error ? Number.NEGATIVE_INFINITY : (qualityOf(evaluation).snr ?? 0);
      damage.push({ node: name, snr });
      task.update(damage.length, name);
    }
  } finally {
    task.end();
  }
  rankings.set(key, damage);
  return damage;
}

/** The candidate again, with these nodes left out of the steps. */
function without(request: RelaxRequest, excluded: readonly string[]): Promise<Candidate> {
  const { candidate, relax, model, version, context } = request;
  const recipe: Recipe = [
    ...candidate.recipe.map((each, at) =>
      relax.steps.includes(at) ? withOptions(each, { exclude: excluded }) : each,
    ),
    ...(relax.rest ? [relax.rest] : []),
  ];
  const many = excluded.length === 1 ? '1 node' : `${excluded.length} nodes`;
  const kept = relax.rest ? 'only stored so' : 'in float';
  return makeCandidate(
    model,
    { name: `${candidate.name}, ${many} ${kept}`, why: candidate.why, recipe },
    version,
    context,
  );
}

function withOptions(step: Step, options: Step['options']): Step {
  return { pass: step.pass, options: { ...step.options, ...options } };
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
