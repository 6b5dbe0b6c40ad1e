/**
 * A report of what a command did: puts together what the command knows, and measures what it does
 * not: sizes, latency and memory, the profile of both models, layers that part, distributions, and
 * which predictions changed. What cannot be measured is named among the notes with its reason.
 */
import type { Dataset } from '../data/dataset.js';
import type { Preprocess } from '../data/preprocess.js';
import { repeatableFeeds } from '../data/repeatable-feeds.js';
import type { Engine, Feeds } from '../engine/engine.js';
import { randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { messageOf, PareError } from '../errors.js';
import type { Explanation } from '../explain/explanation.js';
import type { Model } from '../graph/model.js';
import { activationGrids } from '../measure/activation-grids.js';
import { type BenchRow, bench } from '../measure/bench.js';
import type { ByteCounter } from '../measure/compress.js';
import type { ModelDiff } from '../measure/diff.js';
import { evaluate } from '../measure/evaluate.js';
import type { Evaluation } from '../measure/evaluation.js';
import { layerAgreements } from '../measure/layer-agreement.js';
import { layerWeights } from '../measure/layer-weights.js';
import { measureMacs } from '../measure/macs.js';
import type { NamedModel } from '../measure/named-model.js';
import { operatorTimes } from '../measure/operator-times.js';
import { PredictionLog } from '../measure/prediction-log.js';
import { sizeOf } from '../measure/size.js';
import type { PassReport } from '../pass.js';
import { type Progress, silent } from '../progress.js';
import type { PlanDetails } from '../prune/plan-details.js';
import { confusionOf, evaluationRow, flipsOf } from '../report/build/evaluations.js';
import { explanationPart } from '../report/build/explanation.js';
import {
  activationsPart,
  layersPart,
  sensitivityPart,
  weightsPart,
  widthsPart,
} from '../report/build/layers.js';
import { diffPart, factsOf, sizePart } from '../report/build/model.js';
import { benchPart, candidatesPart, recipePart, skippedPart } from '../report/build/recipe.js';
import { summaryOf } from '../report/build/summary.js';
import type { Profile } from '../report/data/cost.js';
import type { Provenance } from '../report/data/provenance.js';
import { type Report, reportKind } from '../report/data/report.js';
import type { Training } from '../report/data/training.js';
import { simplify } from '../simplify/index.js';
import { bordersAs, feedsOfSample, portsOf } from './measuring.js';
import type { OptimizeResult } from './optimize.js';
import type { QualityPromise } from './promise.js';
import type { Recipe } from './recipe.js';
import type { SensitivityReport } from './sensitivity.js';

export interface ReportModel {
  /** As evaluations and timings name it. */
  readonly name: string;
  readonly file: string;
  readonly model: Model;
  readonly sha256?: string | undefined;
}

/** What the command knows already. */
export interface KnownParts {
  readonly recipe?: Recipe | undefined;
  /** One per step of the recipe. */
  readonly reports?: readonly PassReport[] | undefined;
  readonly promise?: QualityPromise | undefined;
  readonly search?: Pick<OptimizeResult, 'original' | 'candidates'> | undefined;
  readonly evaluations?: readonly Evaluation[] | undefined;
  /** Watched that evaluation of all models of the report, in their order; else it is done anew. */
  readonly predictions?: PredictionLog | undefined;
  readonly bench?: readonly BenchRow[] | undefined;
  readonly sensitivity?: SensitivityReport | null | undefined;
  readonly plan?: PlanDetails | undefined;
  readonly training?: Training | undefined;
  readonly explanation?: Explanation | undefined;
  readonly diff?: ModelDiff | undefined;
  readonly notes?: readonly string[] | undefined;
}

export interface ReportRequest {
  readonly title: string;
  /** One sentence in words: what was done. */
  readonly outcome: string;
  readonly provenance: Provenance;
  /** The original first; layers are compared between the first and the last. */
  readonly models: readonly ReportModel[];
  readonly known: KnownParts;
  readonly engine: Engine;
  readonly dataset?: Dataset | undefined;
  /** Samples to evaluate on; undefined evaluates nothing anew. */
  readonly indices?: Uint32Array | undefined;
  /** What was done to raw values, so that samples can be shown. */
  readonly scaling?: Pick<Preprocess, 'scale' | 'mean' | 'std' | 'colorOrder'> | undefined;
  /** Default 1. */
  readonly threads?: number | undefined;
  readonly seed?: number | undefined;
  readonly brotli?: (() => ByteCounter) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** Samples on which layers are compared: their outputs are all fetched. */
const layerSamples = 16;
const activationSamples = 32;
const randomSamples = 4;

/** Throws `aborted` on the signal, and what is no error of a measurement. */
export async function makeReport(request: ReportRequest): Promise<Report> {
  return new ReportMaker(request).make();
}

interface Ends {
  readonly a: Model;
  readonly b: Model;
}

class ReportMaker {
  readonly #request: ReportRequest;
  readonly #notes: string[];

  constructor(request: ReportRequest) {
    this.#request = request;
    this.#notes = [...(request.known.notes ?? [])];
  }

  async make(): Promise<Report> {
    const { title, outcome, provenance, models, known, dataset, progress = silent } = this.#request;
    const task = progress.task('report', 6);
    try {
      const named = await Promise.all(models.map(nameModel));
      const sizes = await Promise.all(
        models.map(({ model }) => sizeOf(model, { brotli: this.#request.brotli ?? null })),
      );
      const facts = [];
      for (const [at, { name, file, model, sha256 }] of models.entries()) {
        const macs = await this.#try(`the MACs of ${name}`, () => this.#macs(model));
        facts.push(factsOf(name, file, model, sizes[at]!, { macs: macs ?? null, sha256 }));
      }
      task.update(1, 'latency and memory');
      const feeds = await this.#try('inputs', () => this.#feeds(named[0]!));
      const rows = await this.#bench(named, feeds);
      task.update(2, 'profiles');
      const profiles = await this.#profiles(named, feeds);
      task.update(3, 'predictions');
      const watched = await this.#evaluate(named);
      task.update(4, 'layers');
      const ends = await this.#try('layers', () => this.#simplified());
      const layers = ends ? await this.#layers(ends) : null;
      task.update(5, 'weights and activations');
      const { recipe, reports, search, sensitivity, plan, explanation, training, diff, promise } =
        known;
      return {
        schema: 1,
        kind: reportKind,
        title,
        provenance,
        models: facts,
        summary: summaryOf({
          ...{ models: facts, bench: rows, outcome },
          evaluations: watched.evaluations,
          hasData: dataset !== undefined,
          promise: promise ?? null,
        }),
        recipe: recipe ? recipePart(recipe, reports) : null,
        candidates: search ? candidatesPart(search) : null,
        evaluations: watched.evaluations?.map(evaluationRow) ?? null,
        bench: rows && benchPart(rows),
        size: models.map(({ name, model }, at) => sizePart(name, model, sizes[at]!)),
        profiles,
        layers,
        sensitivity: sensitivity ? sensitivityPart(sensitivity) : null,
        weights: await this.#weights(ends),
        activations: ends ? await this.#activations(ends) : null,
        widths: plan ? widthsPart(plan) : null,
        explanation: explanation ? explanationPart(explanation) : null,
        training: training ?? null,
        confusion: watched.log && confusionOf(watched.log, watched.names, dataset?.classes),
        flips:
          watched.log &&
          flipsOf(watched.log, models.length, dataset?.classes, this.#request.scaling),
        diff: diff ? diffPart(diff) : null,
        skipped: skippedPart(reports ?? [], this.#notes),
      };
    } finally {
      task.end();
    }
  }

  /** Undefined, with a note, where the runtime or the data refuse. */
  async #try<T>(what: string, run: () => Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (error) {
      const expected = /^(engine|unsupported|data-mismatch|invalid-data|invalid-model|usage)$/;
      if (!(error instanceof PareError) || !expected.test(error.code)) throw error;
      this.#notes.push(`${what} could not be measured: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Layers are compared after simplification, which changes no output but folds nodes away. */
  async #simplified(): Promise<Ends | undefined> {
    const { models, engine, signal } = this.#request;
    if (models.length < 2) return undefined;
    const simple = async ({ model }: ReportModel) =>
      (await simplify(model, {}, { engine, signal })).model;
    return { a: await simple(models[0]!), b: await simple(models.at(-1)!) };
  }

  /** Null where nodes are not known: a part of the work would read like all of it. */
  async #macs(model: Model): Promise<number | null> {
    const { engine, signal } = this.#request;
    const { macs, unknown } = await measureMacs(engine, model, { signal });
    return unknown.length === 0 ? macs : null;
  }

  async #feeds(model: NamedModel): Promise<Feeds> {
    const { dataset, engine, indices, seed = 0 } = this.#request;
    return dataset
      ? feedsOfSample(dataset, engine, model, indices?.[0] ?? 0)
      : randomFeeds(await portsOf(engine, model), { seed });
  }

  /** What the command timed, where it knows the memory too; else timed here, briefly. */
  async #bench(
    models: readonly NamedModel[],
    feeds: Feeds | undefined,
  ): Promise<BenchRow[] | null> {
    const { known, engine, signal, threads = 1 } = this.#request;
    if (known.bench?.some(({ memory }) => memory)) return [...known.bench];
    if (!feeds) return known.bench ? [...known.bench] : null;
    const settings = { threads: [threads], rounds: 30, warmup: 3, maxMs: 6000, signal };
    const report = await this.#try('latency and memory', () =>
      bench(models, feeds, engine, settings),
    );
    return report ? [...report.rows] : null;
  }

  async #profiles(
    models: readonly NamedModel[],
    feeds: Feeds | undefined,
  ): Promise<Profile[] | null> {
    const { engine, signal, threads = 1 } = this.#request;
    const profiles: Profile[] = [];
    for (const model of feeds ? models : []) {
      const times = await this.#try(`the profile of ${model.name}`, () =>
        operatorTimes(model, feeds!, engine, { threads, signal }),
      );
      if (times) {
        profiles.push({ ...times, operators: [...times.operators], nodes: [...times.nodes] });
      }
    }
    return profiles.length > 0 ? profiles : null;
  }

  /** Runs the samples again where nothing watched the evaluation: it only counts predictions. */
  async #evaluate(models: readonly NamedModel[]): Promise<{
    evaluations: readonly Evaluation[] | null;
    log: PredictionLog | null;
    names: readonly string[];
  }> {
    const { known, dataset, engine, indices, signal, progress } = this.#request;
    const names = models.map(({ name }) => name);
    const { evaluations: counted, predictions } = known;
    if (counted && predictions) return { evaluations: counted, log: predictions, names };
    const none = { evaluations: known.evaluations ?? null, log: null, names };
    if (!dataset || !indices || indices.length === 0) return none;
    const log = new PredictionLog();
    const options = { indices, signal, progress, observe: log.observe };
    const evaluations = await this.#try('single predictions', () =>
      evaluate(models, dataset, engine, options),
    );
    return evaluations ? { evaluations, log, names } : none;
  }

  async #samples(most: number): Promise<(() => AsyncGenerator<Feeds>) | undefined> {
    const { dataset, indices, engine, models } = this.#request;
    if (!dataset) return undefined;
    const chosen = (indices?.length ? indices : Uint32Array.of(0)).subarray(0, most);
    const ports = await portsOf(engine, await nameModel(models[0]!));
    return repeatableFeeds(dataset, ports, chosen);
  }

  async #layers(ends: Ends) {
    const { engine, signal, models, seed = 0 } = this.#request;
    const found = await this.#try('the layers', async () => {
      const samples = await this.#samples(layerSamples);
      const ports = samples ? [] : await portsOf(engine, await nameModel(models[0]!));
      const random = async function* () {
        for (let at = 0; at < randomSamples; at++) yield randomFeeds(ports, { seed: seed + at });
      };
      const agreements = await layerAgreements(
        ends.a,
        ends.b,
        engine,
        samples?.() ?? random(),
        signal,
      );
      return layersPart(agreements, samples ? 'data' : 'random');
    });
    return found && found.rows.length > 0 ? found : null;
  }

  async #weights(ends: Ends | undefined) {
    const { models, signal } = this.#request;
    const { a, b } = ends ?? { a: models[0]!.model, b: undefined };
    const rows = weightsPart(await layerWeights(a, b, { signal }));
    return rows.length > 0 ? rows : null;
  }

  async #activations(ends: Ends) {
    const { engine, signal } = this.#request;
    const rows = await this.#try('the distribution of activations', async () => {
      const samples = await this.#samples(activationSamples);
      return (
        samples && activationGrids(ends.a, ends.b, engine, samples, { ...(signal && { signal }) })
      );
    });
    return rows && rows.length > 0 ? activationsPart(rows) : null;
  }
}

async function nameModel({ name, model }: ReportModel): Promise<NamedModel> {
  return { name, source: await modelSource(model), ...bordersAs(model) };
}
