/**
 * Explains a model on data: scores every unit of every layer, shows what excites it and what hangs
 * on it, and measures which of the scores tells the truth about this model. Only the order of the
 * work is here; what cannot be done for a model is left out with its reason.
 */
import * as z from 'zod/mini';
import type { Dataset } from '../data/dataset.js';
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { type PassContext, passContext } from '../pass.js';
import { permutation } from '../random.js';
import { ablate } from './ablation.js';
import { brokenScores, type Collected, scoreOf, unitCriteria } from './criteria.js';
import { describeLayer } from './describe-layer.js';
import { explainConnections } from './explain-connections.js';
import { type AttributedSample, explainInputs } from './explain-inputs.js';
import { type ExplainOptions, type ExplainSettings, explainOptions } from './explain-options.js';
import type { Explanation, Faithfulness, SampleCard } from './explanation.js';
import { measureFaithfulness, pointsOf, type Ranking } from './faithfulness.js';
import { gradientScores } from './gradient-scores.js';
import { type Backward, differentiateValue, floatInputs } from './gradients.js';
import { openMasked } from './masked.js';
import { type Observation, observe } from './observe.js';
import { pathScores } from './path-scores.js';
import { previewOf, short } from './preview.js';
import { openSubject, type Rows, readRows, rowOf, type Subject } from './subject.js';
import { weightNorms } from './weight-norms.js';

/**
 * @throws PareError `unsupported` for a model that is neither a classifier nor a language model, or
 *   that is fixed to its batch; `invalid-data` without samples
 *
 * @example
 * const explanation = await explain(model, dataset, { samples: 200 }, { engine });
 * explanation.faithfulness.best; // 'ablation'
 */
export async function explain(
  model: Model,
  dataset: Dataset,
  options: ExplainOptions,
  context: Partial<PassContext>,
): Promise<Explanation> {
  const parsed = z.safeParse(explainOptions, options);
  if (!parsed.success) throw new PareError('usage', `explain: ${z.prettifyError(parsed.error)}`);
  const settings = parsed.data;
  const full = passContext(context);
  const subject = await openSubject(model, dataset, full);
  if (subject.layers.length === 0) {
    throw new PareError('unsupported', 'explain: the model has no layer with weights of its own', {
      hint: subject.skipped.map(({ what, reason }) => `"${what}": ${reason}`).join('; '),
    });
  }
  const chosen = chooseSamples(dataset, settings, full.seed);
  const data = await readRows(dataset, subject.ports, chosen.scored, settings.batchSize);
  const skipped = [...subject.skipped];
  const leaveOut = (what: string, reason: string) => void skipped.push({ what, reason });
  const observation = await observe(subject, data);
  const collected = await collect(subject, data, observation, settings, leaveOut);
  for (const layer of subject.layers) {
    const broken = brokenScores(layer, collected);
    if (broken.length > 0) leaveOut(`${broken.join(', ')} of ${layer.id}`, 'it is not a number');
  }
  const faithfulness = await trust(
    subject,
    dataset,
    chosen.curves,
    observation,
    collected,
    settings,
    leaveOut,
  );
  const connections = await explainConnections(
    subject,
    data,
    observation,
    settings.outputs,
    leaveOut,
  );
  const inputs = await attribute(subject, data, observation, settings, leaveOut);
  const key = sampleKey(subject, data, observation);
  const layers = subject.layers.map((layer) => describeLayer(layer, collected, key));
  const shown = new Set([
    ...layers.flatMap(({ exemplars: { most, least } }) =>
      [...most, ...least].flat().map(({ sample }) => sample),
    ),
    ...inputs.inputs.map(({ sample }) => sample),
  ]);
  const mean = (values: Float64Array) => values.reduce((a, b) => a + b, 0) / values.length;
  return {
    schema: 1,
    kind: 'explanation',
    model: {
      name: model.file ?? model.graph.name,
      task: subject.target.task,
      output: subject.target.logits,
      classes: subject.target.classes,
      classNames: dataset.classes ?? null,
      tokens: null,
    },
    data: {
      name: dataset.name,
      samples: observation.samples,
      fingerprint: await dataset.fingerprint(),
      labels:
        subject.target.task === 'tokens' ? 'next-token' : dataset.hasLabels ? 'given' : 'predicted',
    },
    baseline: { loss: mean(observation.loss), accuracy: mean(observation.hits) },
    layers,
    criteria: unitCriteria
      .filter(({ name }) => layers.some(({ scores }) => scores[name]))
      .map(({ name, summary, unit, comparable, samples }) => ({
        name,
        summary,
        unit,
        comparable,
        samples: countOf(samples, observation.samples, settings),
      })),
    connections,
    inputs: inputs.inputs,
    faithfulness: faithfulness && { ...faithfulness, inputs: inputs.trust },
    samples: cards(data, observation, shown),
    skipped,
    notes: dataset.notes ?? [],
    seed: full.seed,
  };
}

type LeaveOut = (what: string, reason: string) => void;

/** Seeded, disjoint, ascending. */
function chooseSamples(
  dataset: Dataset,
  { samples, curveSamples, faithfulness }: ExplainSettings,
  seed: number,
): { scored: Uint32Array; curves: Uint32Array } {
  const { start, end } = dataset.parts?.test ?? { start: 0, end: dataset.size };
  const order = permutation(end - start, seed).map((at) => at + start);
  const curves = faithfulness ? Math.min(curveSamples, Math.floor(order.length / 3)) : 0;
  return {
    scored: order.slice(curves, curves + samples).sort(),
    curves: order.slice(0, curves).sort(),
  };
}

async function collect(
  subject: Subject,
  data: readonly Rows[],
  observation: Observation,
  { pathSamples, steps, ablation }: ExplainSettings,
  leaveOut: LeaveOut,
): Promise<Collected> {
  const backward = await tryBackward(subject, leaveOut);
  const gradients = backward && (await gradientScores(subject, backward, data));
  const first = firstRows(data, pathSamples);
  const hasPath = subject.target.task === 'classification' && floatInputs(subject.model).length > 0;
  if (!hasPath)
    leaveOut('conductance, internal-influence', 'inputs that are token ids have no path from zero');
  const paths =
    backward && hasPath
      ? await pathScores(subject, backward, first, observation.targets, steps)
      : undefined;
  const ablations = ablation ? await ablate(subject, data, observation) : undefined;
  if (!ablation) leaveOut('ablation', 'it was not asked for');
  return {
    weightNorms: await weightNorms(subject.layers),
    observations: observation.layers,
    gradients,
    paths,
    ablations,
  };
}

async function tryBackward(subject: Subject, leaveOut: LeaveOut): Promise<Backward | undefined> {
  const wanted = subject.layers.map(({ value }) => value.name);
  try {
    return await differentiateValue(subject, subject.target.logits, wanted);
  } catch (error) {
    if (!(error instanceof PareError) || error.code !== 'unsupported') throw error;
    leaveOut('taylor, gradient-activation, conductance, internal-influence', error.message);
    return undefined;
  }
}

/** Deletion curves of every score that judges all layers. */
async function trust(
  subject: Subject,
  dataset: Dataset,
  indices: Uint32Array,
  observation: Observation,
  collected: Collected,
  { seeds, batchSize, faithfulness }: ExplainSettings,
  leaveOut: LeaveOut,
): Promise<Omit<Faithfulness, 'inputs'> | null> {
  if (!faithfulness || indices.length === 0) {
    leaveOut('faithfulness', faithfulness ? 'no samples are left for it' : 'it was not asked for');
    return null;
  }
  const rankings = unitCriteria.flatMap((criterion): Ranking[] => {
    const scores = new Map(
      subject.layers.flatMap((layer) => {
        const own = scoreOf(criterion, layer, collected);
        return own ? [[layer, own] as const] : [];
      }),
    );
    if (scores.size === subject.layers.length) return [{ ...criterion, scores }];
    const missing = subject.layers.length - scores.size;
    if (scores.size > 0)
      leaveOut(`faithfulness of ${criterion.name}`, `it does not score ${missing} of the layers`);
    return [];
  });
  const data = await readRows(dataset, subject.ports, indices, batchSize);
  const masked = await openMasked(subject, observation, data);
  const list = Array.from({ length: seeds }, (_, at) => subject.context.seed + at + 1);
  const request = {
    masked,
    layers: subject.layers,
    rankings,
    samples: indices.length,
    seeds: list,
  };
  const task = subject.context.progress.task('explain: deletion curves', pointsOf(request));
  let done = 0;
  try {
    return await measureFaithfulness({ ...request, onPoint: () => task.update(++done) });
  } finally {
    task.end();
    await masked.release();
  }
}

/** The first sample that is right, and those with the highest loss. */
async function attribute(
  subject: Subject,
  data: readonly Rows[],
  { loss, hits, targets }: Observation,
  { inputs, steps }: ExplainSettings,
  leaveOut: LeaveOut,
): ReturnType<typeof explainInputs> {
  const none = { inputs: [], trust: [] };
  if (inputs === 0) return none;
  if (subject.target.task !== 'classification' || floatInputs(subject.model).length === 0) {
    leaveOut('inputs', 'inputs that are token ids have no gradient');
    return none;
  }
  const worst = [...loss.keys()].sort((a, b) => loss[b]! - loss[a]!);
  const right = hits.indexOf(1);
  const places = [...new Set([...(right >= 0 ? [right] : []), ...worst])].slice(0, inputs);
  const all = data.flatMap((rows, batch) =>
    Array.from({ length: rows.count }, (_, row) => ({ rows, row, target: targets[batch]![row]! })),
  );
  const samples = places.map((place): AttributedSample => {
    const { rows, row, target } = all[place]!;
    return { sample: rows.indices[row]!, target, feeds: rowOf(rows.feeds, row) };
  });
  try {
    return await explainInputs(subject, samples, steps, leaveOut);
  } catch (error) {
    if (!(error instanceof PareError) || error.code !== 'unsupported') throw error;
    leaveOut('inputs', error.message);
    return none;
  }
}

function sampleKey({ target }: Subject, data: readonly Rows[], { targets }: Observation) {
  const indices = data.flatMap((rows) => rows.indices);
  const classes =
    target.task === 'classification'
      ? data.flatMap((rows, at) => [...targets[at]!.subarray(0, rows.count)])
      : undefined;
  return { indices, classes, width: target.classes };
}

function countOf(
  kind: 'none' | 'all' | 'path',
  all: number,
  { pathSamples }: ExplainSettings,
): number {
  return kind === 'none' ? 0 : kind === 'all' ? all : Math.min(all, pathSamples);
}

function firstRows(data: readonly Rows[], most: number): Rows[] {
  const first: Rows[] = [];
  let left = most;
  for (const rows of data) {
    if (left === 0) break;
    const count = Math.min(left, rows.count);
    first.push({ ...rows, count });
    left -= count;
  }
  return first;
}

function cards(
  data: readonly Rows[],
  { loss, predicted }: Observation,
  shown: ReadonlySet<number>,
): SampleCard[] {
  let at = 0;
  return data.flatMap((rows) =>
    Array.from({ length: rows.count }, (_, row) => ({ row, place: at++ })).flatMap(
      ({ row, place }): SampleCard[] => {
        const index = rows.indices[row]!;
        if (!shown.has(index)) return [];
        return [
          {
            index,
            id: rows.ids[row]!,
            label: rows.labels[row] ?? null,
            predicted: predicted[place]!,
            loss: short(loss[place]!),
            preview: previewOf(rowOf(rows.feeds, row)),
          },
        ];
      },
    ),
  );
}
