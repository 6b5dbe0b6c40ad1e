/**
 * The receipt: what was done to make a file, with what, and every number that was measured, so
 * that the same file can be made again and the numbers checked. Plain JSON, versioned.
 */
import type { Engine, Target } from '../engine/engine.js';
import type { BenchRow } from '../measure/bench.js';
import type { Evaluation } from '../measure/evaluation.js';
import type { PassReport, Skip } from '../pass.js';
import type { Goal } from './choose.js';
import type { Machine } from './node-machine.js';
import type { CandidateResult, OptimizeResult } from './optimize.js';
import type { QualityPromise } from './promise.js';
import type { Recipe } from './recipe.js';

export interface FileStamp {
  /** Relative to the receipt's folder. */
  readonly path: string;
  readonly bytes: number;
  /** Hex SHA-256 of the content. */
  readonly sha256: string;
}

export interface DataStamp {
  /** Relative to the receipt's folder. */
  readonly path: string;
  readonly size: number;
  readonly fingerprint: string;
  /** What the user gave for --preprocess, resolved to its fields. */
  readonly preprocess: Readonly<Record<string, unknown>>;
  readonly preprocessing: string;
  /** Disjoint, drawn with the seed. */
  readonly samples: {
    readonly search: number;
    /** None in receipts from before there was training. */
    readonly train?: number;
    readonly evaluate: number;
  };
  /** The limit that was asked for; null for none. */
  readonly limit: number | null;
}

export interface Measurement {
  readonly bytes: number;
  readonly gzipBytes: number | null;
  readonly brotliBytes: number | null;
  readonly bench: BenchRow;
  readonly evaluation: Evaluation;
}

export interface Receipt {
  readonly schema: 1;
  readonly kind: 'pare receipt';
  readonly pare: string;
  /** ISO 8601. */
  readonly created: string;
  readonly command: string;
  readonly target: Target;
  readonly goal: Goal;
  readonly promise: QualityPromise;
  readonly seed: number;
  readonly threads: number;
  readonly model: FileStamp;
  readonly output: FileStamp;
  readonly candidate: string;
  readonly recipe: Recipe;
  readonly data: DataStamp;
  readonly engine: { readonly name: string; readonly version: string };
  readonly machine: Machine;
  readonly original: Measurement;
  readonly optimized: Measurement;
  readonly candidates: readonly CandidateResult[];
  readonly changed: readonly { readonly pass: string; readonly nodes: number }[];
  /** What stayed as it was, by operator and reason. */
  readonly skipped: readonly SkipGroup[];
  readonly notes: readonly string[];
}

export interface SkipGroup {
  readonly pass: string;
  readonly op: string;
  readonly reason: string;
  readonly nodes: readonly string[];
}

export interface ReceiptParts {
  readonly version: string;
  readonly created: Date;
  readonly command: string;
  readonly target: Target;
  readonly seed: number;
  readonly model: FileStamp;
  readonly output: FileStamp;
  readonly data: DataStamp;
  readonly engine: Engine;
  readonly machine: Machine;
  readonly compressed: {
    readonly original: Pick<Measurement, 'gzipBytes' | 'brotliBytes'>;
    readonly optimized: Pick<Measurement, 'gzipBytes' | 'brotliBytes'>;
  };
}

/** The result must have a winner: there is no receipt for a file that was not made. */
export function makeReceipt(result: OptimizeResult, parts: ReceiptParts): Receipt {
  const winner = result.winner!;
  const row = result.candidates.find(({ verdict }) => verdict === 'chosen')!;
  const { engine, compressed, version, created, ...rest } = parts;
  return {
    schema: 1,
    kind: 'pare receipt',
    pare: version,
    created: created.toISOString(),
    ...rest,
    goal: result.goal,
    promise: result.promise,
    threads: result.original.bench.threads,
    candidate: winner.name,
    recipe: winner.recipe,
    engine: { name: engine.name, version: engine.version },
    original: {
      bytes: parts.model.bytes,
      ...compressed.original,
      bench: result.original.bench,
      evaluation: result.original.evaluation,
    },
    optimized: {
      bytes: parts.output.bytes,
      ...compressed.optimized,
      bench: row.bench!,
      evaluation: row.evaluation!,
    },
    candidates: result.candidates,
    changed: winner.reports.map(({ pass, changed }) => ({ pass, nodes: changed.length })),
    skipped: groupSkips(winner.reports),
    notes: [...result.notes, ...stepNotes(winner.reports)],
  };
}

/** Notes with the name of their step; a pass that comes several times says which time it is. */
export function stepNotes(reports: readonly PassReport[]): string[] {
  const times = new Map<string, number>();
  for (const { pass } of reports) times.set(pass, (times.get(pass) ?? 0) + 1);
  const seen = new Map<string, number>();
  return reports.flatMap(({ pass, notes, warnings = [] }) => {
    const time = (seen.get(pass) ?? 0) + 1;
    seen.set(pass, time);
    const of = times.get(pass)!;
    const name = of === 1 ? pass : `${pass} (${time} of ${of})`;
    return [...warnings, ...notes].map((note) => `${name}: ${note}`);
  });
}

/**
 * Skips of the last word: what a later step changed is not skipped, and reasons that many nodes
 * share are told once.
 */
export function groupSkips(reports: readonly PassReport[]): SkipGroup[] {
  const groups = new Map<string, Omit<SkipGroup, 'nodes'> & { readonly nodes: Set<string> }>();
  for (const [at, { pass, skipped }] of reports.entries()) {
    const changedLater = new Set(
      reports.slice(at + 1).flatMap(({ changed }) => changed.map(({ node }) => node)),
    );
    for (const skip of skipped) {
      if (changedLater.has(skip.node)) continue;
      const reason = sharedReason(skip);
      const key = `${pass}|${skip.op}|${reason}`;
      const group = groups.get(key) ?? { pass, op: skip.op, reason, nodes: new Set() };
      groups.set(key, group);
      // A pass that comes again leaves the same nodes again.
      group.nodes.add(skip.node);
    }
  }
  return Array.from(groups.values(), (group) => ({ ...group, nodes: [...group.nodes] })).sort(
    (a, b) => b.nodes.length - a.nodes.length,
  );
}

/** Names in quotes differ from node to node; the reason behind them does not. */
function sharedReason({ reason }: Skip): string {
  return reason.replace(/^[^ ]+: /, '');
}
