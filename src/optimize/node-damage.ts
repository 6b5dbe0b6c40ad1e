/**
 * How much each node of a candidate costs: the same recipe with one of its nodes alone, and the
 * candidate again without some of them. Chooses nothing.
 */
import type { Sample } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { NamedModel } from '../measure/named-model.js';
import { measureVariants, type Variant } from '../measure/sensitivity.js';
import type { PassContext } from '../pass.js';
import { type Candidate, makeCandidate } from './candidate.js';
import { bordersAs, qualityOf } from './measuring.js';
import { type Recipe, type RecipeContext, runRecipe, type Step } from './recipe.js';
import type { NodeDamage } from './relax.js';
import { isCommonStep, type Relaxable } from './targets.js';

/** Samples for the damage of one node: the ranking needs few, since the worst stand out. */
export const damageSamples = 16;

export interface DamageRequest {
  readonly model: Model;
  readonly original: NamedModel;
  readonly candidate: Candidate;
  readonly relax: Relaxable;
  readonly engine: Engine;
  readonly version: string;
  readonly context: PassContext & RecipeContext;
  /** Rankings that were measured already, by steps and nodes. */
  readonly rankings: Map<string, readonly NodeDamage[]>;
}

/** The step that changes a node, for every node that the steps in question change. */
export function changedBy({ reports }: Candidate, { steps }: Relaxable): Map<string, number> {
  const changed = new Map<string, number>();
  for (const step of steps) {
    for (const { node, follows } of reports[step]!.changed) {
      if (!follows && !changed.has(node)) changed.set(node, step);
    }
  }
  return changed;
}

/** SNR of the outputs when one node alone is quantized, for every node. */
export async function rankNodes(
  request: DamageRequest,
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
    : { name: 'before', source: await modelSource(base.model), ...bordersAs(base.model) };
  const only = async function* (): AsyncGenerator<Variant> {
    for (const [node, step] of nodes) {
      yield {
        name: node,
        ...bordersAs(base.model),
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
export function without(request: DamageRequest, excluded: readonly string[]): Promise<Candidate> {
  const { candidate, relax, model, version, context } = request;
  const { by = 'exclude' } = relax;
  const recipe: Recipe = [
    ...candidate.recipe.map((each, at) =>
      relax.steps.includes(at) ? withNodes(each, by, excluded) : each,
    ),
    ...(relax.rest ? [relax.rest] : []),
  ];
  const many = excluded.length === 1 ? '1 node' : `${excluded.length} nodes`;
  const kept = relax.rest ? 'only stored so' : keptHow[by];
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

/** More nodes for an option that lists some; what the caller listed stays. */
function withNodes(step: Step, option: 'exclude' | 'wide', nodes: readonly string[]): Step {
  const given = (step.options[option] ?? []) as readonly string[];
  return withOptions(step, { [option]: [...given, ...nodes] });
}

const keptHow = Object.freeze({ exclude: 'in float', wide: 'with 16-bit activations' });
