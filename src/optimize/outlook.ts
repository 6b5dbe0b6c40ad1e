/**
 * What could be done to a model: every scheme and the simplification tried on a copy, without
 * samples and without measuring. Tells how many nodes change and why the others do not.
 */
import type { Engine } from '../engine/engine.js';
import { messageOf, PareError, throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Skip } from '../pass.js';
import { quantize, schemes } from '../quantize/index.js';
import { simplify } from '../simplify/index.js';

export interface OutlookOptions {
  /** Lets constants be folded and shapes be inferred; without one less is found. */
  readonly engine?: Engine | undefined;
  /** Operators whose nodes carry weights: the others are only counted. Default all. */
  readonly weighted?: ReadonlySet<string> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Why nodes are left alone. Numbers that differ among them read as a range: '64..512 elements'. */
export interface LeftAlone {
  readonly reason: string;
  readonly nodes: number;
  readonly ops: readonly string[];
}

/** One scheme with its default options. Plain JSON. */
export interface SchemeOutlook {
  readonly scheme: string;
  readonly changed: number;
  /** Bytes of all constants afterwards; null when the scheme failed. */
  readonly tensorBytes: number | null;
  /** Most nodes first. */
  readonly left: readonly LeftAlone[];
  /** Nodes of operators without weights. */
  readonly withoutWeights: number;
  readonly notes: readonly string[];
  /** Why the scheme cannot be applied at all. */
  readonly error: string | null;
}

/** Plain JSON. */
export interface SimplifyOutlook {
  readonly nodesBefore: number;
  readonly nodesAfter: number;
  /** Changes by the rewrite that made them, those of it that found something. */
  readonly rewrites: Readonly<Record<string, number>>;
  readonly error: string | null;
}

/** Quantizes copies of the model, so it reads all weights: mind its size. */
export async function schemeOutlooks(
  model: Model,
  options: OutlookOptions = {},
): Promise<SchemeOutlook[]> {
  const outlooks: SchemeOutlook[] = [];
  for (const { name } of schemes) {
    throwIfAborted(options.signal);
    outlooks.push(await outlookOf(model, name, options));
  }
  return outlooks;
}

async function outlookOf(
  model: Model,
  scheme: string,
  { engine, weighted, signal }: OutlookOptions,
): Promise<SchemeOutlook> {
  try {
    const { model: result, report } = await quantize(model, scheme, {}, { engine, signal });
    const isWeighted = ({ op }: Skip) => weighted?.has(op) ?? true;
    const left = report.skipped.filter(isWeighted);
    return {
      scheme,
      changed: report.changed.length,
      tensorBytes: constantBytes(result),
      left: groupReasons(left, valueNames(model)),
      withoutWeights: report.skipped.length - left.length,
      notes: report.notes,
      error: null,
    };
  } catch (error) {
    if (!(error instanceof PareError) || error.code === 'aborted') throw error;
    const none = { changed: 0, tensorBytes: null, left: [], withoutWeights: 0, notes: [] };
    return { scheme, ...none, error: messageOf(error) };
  }
}

export async function simplifyOutlook(
  model: Model,
  { engine, signal }: OutlookOptions = {},
): Promise<SimplifyOutlook> {
  try {
    const { report } = await simplify(model, {}, { engine, signal });
    const { nodesBefore, nodesAfter } = report;
    const found = report.passes.filter(({ changed }) => changed.length > 0);
    const rewrites = Object.fromEntries(found.map(({ pass, changed }) => [pass, changed.length]));
    return { nodesBefore, nodesAfter, rewrites, error: null };
  } catch (error) {
    if (!(error instanceof PareError) || error.code === 'aborted') throw error;
    const nodes = [...model.allNodes()].length;
    return { nodesBefore: nodes, nodesAfter: nodes, rewrites: {}, error: messageOf(error) };
  }
}

function constantBytes(model: Model): number {
  let bytes = 0;
  for (const graph of model.allGraphs()) {
    for (const value of graph.initializers) bytes += value.initializer?.byteLength ?? 0;
    for (const node of graph.nodes) {
      if (node.inputs.length === 0) bytes += node.tensorAttribute('value')?.byteLength ?? 0;
    }
  }
  return bytes;
}

function valueNames(model: Model): Set<string> {
  const names = new Set<string>();
  for (const graph of model.allGraphs()) for (const { name } of graph.values) names.add(name);
  return names;
}

/** Groups reasons that differ in numbers only, most nodes first. `names` may stand before a reason. */
export function groupReasons(
  skips: readonly Skip[],
  names: ReadonlySet<string> = new Set(),
): LeftAlone[] {
  interface Group {
    readonly words: readonly string[];
    readonly numbers: number[][];
    readonly ops: Set<string>;
    nodes: number;
  }
  const groups = new Map<string, Group>();
  for (const { op, reason } of skips) {
    const text = withoutName(reason, names);
    const words = text.split(/\d+/);
    const key = words.join('#');
    let group = groups.get(key);
    if (!group) {
      group = { words, numbers: words.slice(1).map(() => []), ops: new Set(), nodes: 0 };
      groups.set(key, group);
    }
    (text.match(/\d+/g) ?? []).forEach((digits, at) => {
      group.numbers[at]!.push(Number(digits));
    });
    group.ops.add(op);
    group.nodes++;
  }
  return [...groups.values()]
    .sort((a, b) => b.nodes - a.nodes)
    .map(({ words, numbers, ops, nodes }) => ({
      reason: words.map((word, at) => (at === 0 ? word : range(numbers[at - 1]!) + word)).join(''),
      nodes,
      ops: [...ops],
    }));
}

/** 'fc.weight: 12 elements, ...' without the name. */
function withoutName(reason: string, names: ReadonlySet<string>): string {
  for (let at = reason.indexOf(': '); at >= 0; at = reason.indexOf(': ', at + 1)) {
    if (names.has(reason.slice(0, at))) return reason.slice(at + 2);
  }
  return reason;
}

function range(numbers: readonly number[]): string {
  const min = numbers.reduce((a, b) => Math.min(a, b));
  const max = numbers.reduce((a, b) => Math.max(a, b));
  return min === max ? String(min) : `${min}..${max}`;
}
