/**
 * Where the numbers of two models part: every value that both compute, compared on the same
 * samples, in the order of the first model. Values become outputs, which keeps the runtime from
 * fusing: integers are computed as their DequantizeLinear form. Changes no model.
 */
import type { Engine, EngineSession, Feeds, HostTensor } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';

import { bordersAs } from '../optimize/measuring.js';
import { OutputComparison, type OutputMeasure, snrOf } from './compare-outputs.js';
import { matchNodes } from './match-nodes.js';

/** One value that both models compute. Plain JSON. */
export interface LayerAgreement {
  readonly value: string;
  /** The node of the first model that makes it. */
  readonly node: string;
  readonly op: string;
  readonly measure: OutputMeasure;
}

/** Plain JSON. */
export interface LayerAgreements {
  readonly samples: number;
  readonly rows: readonly LayerAgreement[];
  /** The first value that is not exactly equal; null when all are. */
  readonly firstDifferent: string | null;
  /** Values of the first model without a partner, and why: fused away, or of another shape. */
  readonly unpaired: readonly { readonly value: string; readonly reason: string }[];
}

interface Pair {
  readonly value: string;
  readonly other: string;
  readonly node: string;
  readonly op: string;
}

/**
 * @param feeds inputs of the first model; raw integer borders of the second are adapted
 * @throws PareError `engine` when a model does not run with its values as outputs
 * @example
 * const { rows, firstDifferent } = await layerAgreements(a, b, engine, feeds);
 */
export async function layerAgreements(
  a: Model,
  b: Model,
  engine: Engine,
  feeds: AsyncIterable<Feeds>,
  signal?: AbortSignal,
): Promise<LayerAgreements> {
  const { pairs, lonely } = await pairValues(a, b);
  const unpaired = lonely.map((value) => ({ value, reason: 'the other model has no such value' }));
  const comparisons = new Map(pairs.map(({ value }) => [value, new OutputComparison(value)]));
  const { adapt, restore } = bordersAs(b);
  const sessions: EngineSession[] = [];
  let samples = 0;
  try {
    const names = pairs.map(({ value }) => value);
    const others = pairs.map(({ other }) => other);
    sessions.push(await openExposed(a, names, engine, signal));
    sessions.push(await openExposed(b, others, engine, signal));
    const [one, two] = sessions as [EngineSession, EngineSession];
    const floats = (session: EngineSession, name: string) =>
      session.outputs.find((port) => port.name === name)?.dataType === 'float';
    const compared = pairs.filter(({ value, other }) => floats(one, value) && floats(two, other));
    for await (const feed of feeds) {
      throwIfAborted(signal);
      const expected = await one.run(
        feed,
        compared.map(({ value }) => value),
        { signal },
      );
      const given = await two.run(
        adapt ? adapt(feed) : feed,
        compared.map(({ other }) => other),
        { signal },
      );
      const restored = restore ? restore(given) : given;
      for (const { value, other } of compared) {
        const comparison = comparisons.get(value);
        if (!comparison || addTo(comparison, restored[other]!, expected[value]!)) continue;
        comparisons.delete(value);
        unpaired.push({ value, reason: 'it has another shape in the other model' });
      }
      samples++;
    }
    const rows = compared.flatMap(({ value, node, op }) => {
      const measure = comparisons.get(value)?.result();
      return measure?.agreement ? [{ value, node, op, measure }] : [];
    });
    const first = rows.find(({ measure }) => snrOf(measure.agreement!) < Number.POSITIVE_INFINITY);
    return { samples, rows, firstDifferent: first?.value ?? null, unpaired };
  } finally {
    for (const session of sessions) await session.release();
  }
}

/**
 * Values of the same name, and outputs of nodes that are one (see matchNodes) where neither name
 * means something else in the other model: a folded normalization leaves the Conv's name with
 * another node's numbers.
 */
async function pairValues(a: Model, b: Model): Promise<{ pairs: Pair[]; lonely: string[] }> {
  const [left, right] = [computed(a), computed(b)];
  const match = await matchNodes(a, b);
  const pairs: Pair[] = [];
  const lonely: string[] = [];
  for (const [name, value] of left) {
    const partner = match.values.get(value)?.name;
    const other = right.has(name)
      ? name
      : partner !== undefined && right.has(partner) && !left.has(partner)
        ? partner
        : undefined;
    if (other === undefined) lonely.push(name);
    else pairs.push({ value: name, other, node: value.producer!.label, op: value.producer!.op });
  }
  return { pairs, lonely };
}

/** Outputs of nodes of the main graph that depend on its inputs, in order of execution. */
function computed(model: Model): Map<string, Value> {
  const found = new Map<string, Value>();
  const moving = new Set<Value>(model.graph.inputs.filter(({ initializer }) => !initializer));
  for (const node of model.graph.nodes) {
    if (!node.inputs.some((value) => value && moving.has(value)) && node.subgraphs.length === 0) {
      continue;
    }
    for (const output of node.outputs) {
      if (!output) continue;
      moving.add(output);
      found.set(output.name, output);
    }
  }
  return found;
}

async function openExposed(
  model: Model,
  names: readonly string[],
  engine: Engine,
  signal: AbortSignal | undefined,
): Promise<EngineSession> {
  const copy = cloneModel(model);
  for (const name of names) {
    const value = copy.graph.value(name);
    if (value.isOutput) continue;
    // The runtime knows types better than the file: it checks what is declared.
    copy.graph.outputs.push(value);
  }
  return engine.createSession(await modelSource(copy), { optimization: 'basic', signal });
}

function addTo(comparison: OutputComparison, got: HostTensor, expected: HostTensor): boolean {
  try {
    comparison.add(got, expected);
    return true;
  } catch (error) {
    if (error instanceof PareError && error.code === 'data-mismatch') return false;
    throw error;
  }
}
