/**
 * How fast models run beside each other: interleaved rounds inside the engine, medians with their
 * spread, speed-up with an interval, peak memory in a process of its own. Rows are data; who
 * draws the table is src/report.
 *
 * Why ratios of rounds and not of medians: on a shared machine the clock drifts by tens of
 * percent within a minute, for all models alike. The ratio within a round cancels that.
 */
import type {
  Engine,
  EngineSession,
  Feeds,
  OptimizationLevel,
  PeakMemory,
} from '../engine/engine.js';
import { PareError, throwIfAborted } from '../errors.js';
import { type Progress, silent } from '../progress.js';
import { checkNames, type NamedModel } from './named-model.js';
import { median, medianAbsoluteDeviation, medianInterval, quantile } from './statistics.js';

export interface BenchOptions {
  /** Rounds that are run before any is counted. Default 5. */
  readonly warmup?: number | undefined;
  /** Counted rounds; in each round every model runs once. Default 50. */
  readonly rounds?: number | undefined;
  /** Stop a group of rows after about this long even if rounds are left. Default 20 000. */
  readonly maxMs?: number | undefined;
  /** One group of rows per number of threads. Default the engine's number. */
  readonly threads?: readonly number[] | undefined;
  /** One group of rows per optimization level of the runtime. Default ['all']. */
  readonly levels?: readonly OptimizationLevel[] | undefined;
  /** Whether to start a process per row for peak memory. Default true where the engine can. */
  readonly memory?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** One model at one setting. Plain JSON; times in milliseconds. */
export interface BenchRow {
  readonly model: string;
  readonly threads: number;
  readonly level: OptimizationLevel;
  /** Counted rounds. */
  readonly rounds: number;
  readonly medianMs: number;
  /** Median absolute deviation from the median. */
  readonly madMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  readonly minMs: number;
  /** Against the first model of the group; null for the first itself. */
  readonly speedUp: SpeedUp | null;
  /** Time to make the session, once, with the model's bytes in memory or in the page cache. */
  readonly createMs: number;
  /** Null where it was not asked for or the engine cannot tell. */
  readonly memory: PeakMemory | null;
}

export interface SpeedUp {
  /** Median over the rounds of (time of the first model / time of this one): above 1 is faster. */
  readonly ratio: number;
  /** Interval of that median at 95 % or a little more; null below 6 rounds. */
  readonly interval: readonly [low: number, high: number] | null;
}

/** Plain JSON: the rows by threads, then level, then model in the order given. */
export interface BenchReport {
  readonly engine: { readonly name: string; readonly version: string };
  readonly rows: readonly BenchRow[];
}

/**
 * Times models on the same feeds, or on one set of feeds for each.
 * Throws `usage` for options out of range, and what the engine throws for a model that does not
 * load or run.
 *
 * @example
 * const { rows } = await bench(models, feeds, engine, { threads: [1], rounds: 100 });
 * rows[1].speedUp; // { ratio: 3.31, interval: [3.28, 3.36] }
 */
export async function bench(
  models: readonly NamedModel[],
  feeds: Feeds | readonly Feeds[],
  engine: Engine,
  options: BenchOptions = {},
): Promise<BenchReport> {
  checkNames(models, 'bench');
  const { threads = [engine.threads], levels = ['all'], progress = silent } = options;
  const shared = !Array.isArray(feeds);
  const entries = models.map((model, at) => {
    const own = feedsOf(feeds, at, models.length);
    // Feeds that are given for one model are in its form already.
    return { model, feeds: shared && model.adapt ? model.adapt(own) : own };
  });
  const groups = threads.flatMap((count) => levels.map((level) => ({ threads: count, level })));
  const task = progress.task('bench', groups.length);
  const rows: BenchRow[] = [];
  try {
    for (const [at, group] of groups.entries()) {
      throwIfAborted(options.signal);
      rows.push(...(await benchGroup(entries, group, engine, options)));
      task.update(at + 1, `${group.threads} threads, ${group.level}`);
    }
  } finally {
    task.end();
  }
  return { engine: { name: engine.name, version: engine.version }, rows };
}

interface Entry {
  readonly model: NamedModel;
  readonly feeds: Feeds;
}

type Group = Pick<BenchRow, 'threads' | 'level'>;

async function benchGroup(
  entries: readonly Entry[],
  group: Group,
  engine: Engine,
  options: BenchOptions,
): Promise<BenchRow[]> {
  const { warmup = 5, rounds = 50, maxMs = 20_000, signal } = options;
  checkCount(warmup, 0, 'warmup');
  checkCount(rounds, 1, 'rounds');
  const settings = { threads: group.threads, optimization: group.level, signal };
  const sessions: EngineSession[] = [];
  const createMs: number[] = [];
  let times: Float64Array[];
  try {
    for (const { model } of entries) {
      const start = performance.now();
      sessions.push(await engine.createSession(model.source, withConfig(settings, model)));
      createMs.push(performance.now() - start);
    }
    const timed = entries.map(({ feeds }, at) => ({ session: sessions[at]!, feeds }));
    times = await engine.time(timed, { warmup, rounds, maxMs, signal });
  } finally {
    for (const session of sessions) await session.release();
  }
  const rows: BenchRow[] = [];
  for (const [at, { model, feeds }] of entries.entries()) {
    const wanted = options.memory !== false;
    const memory = wanted
      ? await engine.peakMemory?.(model.source, feeds, withConfig(settings, model))
      : undefined;
    rows.push({
      model: model.name,
      ...group,
      ...summarize(times[at]!),
      speedUp: at === 0 ? null : speedUp(times[0]!, times[at]!),
      createMs: createMs[at]!,
      memory: memory ?? null,
    });
  }
  return rows;
}

function withConfig<Settings extends object>(settings: Settings, { config }: NamedModel) {
  return config ? { ...settings, config } : settings;
}

function summarize(times: Float64Array) {
  return {
    rounds: times.length,
    medianMs: median(times),
    madMs: medianAbsoluteDeviation(times),
    p10Ms: quantile(times, 0.1),
    p90Ms: quantile(times, 0.9),
    minMs: quantile(times, 0),
  };
}

/** From the rounds in pairs: `first[i]` and `times[i]` ran next to each other. */
export function speedUp(first: Float64Array, times: Float64Array): SpeedUp {
  const pairs = Math.min(first.length, times.length);
  const ratios = Float64Array.from({ length: pairs }, (_, round) => first[round]! / times[round]!);
  return { ratio: median(ratios), interval: medianInterval(ratios) ?? null };
}

function feedsOf(feeds: Feeds | readonly Feeds[], at: number, models: number): Feeds {
  if (!Array.isArray(feeds)) return feeds as Feeds;
  if (feeds.length === models) return feeds[at] as Feeds;
  throw new PareError('usage', `bench: ${feeds.length} sets of feeds for ${models} models`, {
    hint: 'give one set for all models, or one for each',
  });
}

function checkCount(value: number, least: number, name: string): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new PareError('usage', `bench: ${name} is ${value}, not a whole number from ${least}`);
}
