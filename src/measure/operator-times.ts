/**
 * Where the time of a run goes: the runtime's own profile, summed by operator. Kernels only: what
 * the runtime spends between them is in the latency and not in here. The runtime sums up its runs,
 * so that one interrupted run spoils a sum: of several short profiles each node's least counts.
 */
import type { Engine, Feeds, ProfileRow } from '../engine/engine.js';
import type { NamedModel } from './named-model.js';

/** Milliseconds per run. Plain JSON. */
export interface OperatorTimes {
  readonly model: string;
  readonly runs: number;
  readonly threads: number;
  readonly totalMs: number;
  /** Slowest first. */
  readonly operators: readonly {
    readonly op: string;
    readonly calls: number;
    readonly ms: number;
  }[];
  /** The slowest ones, as the runtime names them after its own fusions. */
  readonly nodes: readonly { readonly node: string; readonly op: string; readonly ms: number }[];
}

export interface OperatorTimesOptions {
  readonly threads?: number | undefined;
  /** Of each profile. Default 5. */
  readonly runs?: number | undefined;
  /** Most nodes. Default 30. */
  readonly nodes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Profiles that are taken. */
const rounds = 4;

/** Throws what the engine throws for a model that does not run. */
export async function operatorTimes(
  model: NamedModel,
  feeds: Feeds,
  engine: Engine,
  options: OperatorTimesOptions = {},
): Promise<OperatorTimes> {
  const { threads = 1, runs = 5, nodes = 30, signal } = options;
  const settings = { threads, runs, signal, ...(model.config && { config: model.config }) };
  const own = model.adapt ? model.adapt(feeds) : feeds;
  let rows: readonly ProfileRow[] = [];
  for (let round = 0; round < rounds; round++) {
    rows = fastest(rows, await engine.profile(model.source, own, settings));
  }
  const sums = new Map<string, { op: string; calls: number; ms: number }>();
  for (const { opType, calls, totalUs } of rows) {
    const sum = sums.get(opType) ?? { op: opType, calls: 0, ms: 0 };
    sums.set(opType, sum);
    sum.calls += Math.round(calls / runs);
    sum.ms += totalUs / 1000 / runs;
  }
  return {
    ...{ model: model.name, runs: rounds * runs, threads },
    totalMs: rows.reduce((sum, { totalUs }) => sum + totalUs, 0) / 1000 / runs,
    operators: [...sums.values()].sort((x, y) => y.ms - x.ms),
    nodes: rows
      .map(({ node, opType, totalUs }) => ({ node, op: opType, ms: totalUs / 1000 / runs }))
      .sort((x, y) => y.ms - x.ms)
      .slice(0, nodes),
  };
}

/** Of two profiles of one model, each node's smaller time; the same nodes are in both. */
function fastest(known: readonly ProfileRow[], next: readonly ProfileRow[]): ProfileRow[] {
  const before = new Map(known.map((row) => [row.node, row]));
  return next.map((row) => {
    const other = before.get(row.node);
    return other && other.totalUs < row.totalUs ? other : row;
  });
}
