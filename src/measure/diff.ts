/**
 * What changed from one model to another: interface, head, nodes, weights, bytes by operator, and
 * outputs. Does not change the models.
 */
import type { Engine, Feeds } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { messageOf, PareError } from '../errors.js';
import { differenceOf } from '../graph/equal.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { bordersAs, portsOf } from '../optimize/measuring.js';
import { simplify } from '../simplify/index.js';
import { diffHeads, diffPorts, type HeadChange, type PortChange } from './diff-interface.js';
import {
  type DiffOutputsOptions,
  diffOutputs,
  type OutputDiff,
  randomInputs,
} from './diff-outputs.js';
import { diffWeights, type WeightDiff } from './diff-weights.js';
import { type LayerAgreements, layerAgreements } from './layer-agreement.js';
import { attributeTexts, matchNodes, type NodePair } from './match-nodes.js';
import { type OperatorRow, operatorRows, placeOf } from './operator-rows.js';
import { type OperatorTimes, operatorTimes } from './operator-times.js';
import { constantsOf, sizeOf } from './size.js';

export interface DiffOptions extends DiffOutputsOptions {
  /** Also compare outputs, and every value that both models compute. */
  readonly engine?: Engine | undefined;
  /** Also profile both models. Default false: it runs each some twenty times. */
  readonly latency?: boolean | undefined;
}

/** Plain JSON. */
export interface ModelDiff {
  /** Structurally equal, to the last bit of the weights (see differenceOf). */
  readonly equal: boolean;
  /** The first difference in words; null when equal. */
  readonly difference: string | null;
  /** Breaking changes first. */
  readonly interface: readonly PortChange[];
  readonly head: readonly HeadChange[];
  readonly nodes: NodeDiff;
  readonly weights: WeightDiff;
  /** Operators of either model, the largest change in bytes first. */
  readonly operators: readonly OperatorChange[];
  readonly tensorBytes: { readonly a: number; readonly b: number };
  readonly parameters: { readonly a: number; readonly b: number };
  /** Null without an engine, and where the models do not run (see the notes). */
  readonly outputs: OutputDiff | null;
  /** Values between input and output of the simplified models, on the same inputs; null as for the outputs. */
  readonly layers: LayerAgreements | null;
  /** Bytes of the files as pare writes them. */
  readonly fileBytes: { readonly a: number; readonly b: number };
  /** Kernel times of both by operator; null where they were not asked for. */
  readonly latency: { readonly a: OperatorTimes; readonly b: OperatorTimes } | null;
  readonly notes: readonly string[];
}

export interface NodeRef {
  readonly node: string;
  readonly op: string;
  /** The subgraph or function that holds it; null in the main graph. */
  readonly inside: string | null;
}

export interface NodeChange extends NodeRef {
  /** What it is called in the second model. */
  readonly now: string;
  /** How the two were recognized as one. */
  readonly matchedBy: NodePair['by'];
  /** 'operator Conv and FusedConv', 'strides [1, 1] and [2, 2]', 'input 1 w and w_dq'. */
  readonly changes: readonly string[];
}

export interface NodeDiff {
  readonly unchanged: number;
  readonly added: readonly NodeRef[];
  readonly removed: readonly NodeRef[];
  readonly changed: readonly NodeChange[];
}

export interface OperatorChange {
  readonly op: string;
  readonly nodesA: number;
  readonly nodesB: number;
  readonly bytesA: number;
  readonly bytesB: number;
}

/**
 * Throws `io` where a weight cannot be read, `aborted` on the signal. Models that do not run, or
 * not on the same inputs, are compared without their outputs.
 *
 * @example
 * const { nodes, outputs } = await diffModels(original, quantized, { engine });
 */
export async function diffModels(
  a: Model,
  b: Model,
  options: DiffOptions = {},
): Promise<ModelDiff> {
  const { engine, signal } = options;
  const match = await matchNodes(a, b);
  const difference = (await differenceOf(a, b)) ?? null;
  const changed: NodeChange[] = [];
  for (const pair of match.pairs) {
    const changes = await changesOf(pair, match.values);
    if (changes.length > 0 || pair.a.label !== pair.b.label) {
      const { by } = pair;
      changed.push({ ...refOf(pair.a), now: pair.b.label, matchedBy: by, changes });
    }
  }
  const operators = operatorChanges(a, b);
  const notes: string[] = [];
  return {
    equal: difference === null,
    difference,
    interface: diffPorts(a, b),
    head: diffHeads(a, b),
    nodes: {
      unchanged: match.pairs.length - changed.length,
      added: match.added.map(refOf),
      removed: match.removed.map(refOf),
      changed,
    },
    weights: await diffWeights(a, b, match, signal),
    ...operators,
    outputs: engine ? await tried('outputs', () => diffOutputs(a, b, engine, options)) : null,
    layers:
      engine && difference !== null
        ? await tried('layers', () => diffLayers(a, b, engine, options))
        : null,
    fileBytes: { a: await fileBytes(a), b: await fileBytes(b) },
    latency:
      engine && options.latency
        ? await tried('latencies', () => diffLatency(a, b, engine, options))
        : null,
    notes,
  };

  /** Null, with a note, for models that do not run or do not compare. */
  async function tried<T>(what: string, measure: () => Promise<T>): Promise<T | null> {
    try {
      return await measure();
    } catch (error) {
      const isExpected = error instanceof PareError && error.code !== 'aborted';
      // Data that the caller chose are theirs to put right.
      if (!isExpected || (options.feeds && error.code !== 'engine')) throw error;
      notes.push(`${what} were not compared: ${messageOf(error)}`);
      return null;
    }
  }
}

/** Samples that layers are compared on: all their values are fetched. */
const layerSamples = 16;

async function diffLayers(
  a: Model,
  b: Model,
  engine: Engine,
  options: DiffOptions,
): Promise<LayerAgreements> {
  const { signal } = options;
  const feeds = await feedsFor(a, engine, options);
  // A folded normalization leaves the Conv's name to other numbers: both get the same form first.
  const simple = async (model: Model) => (await simplify(model, {}, { engine, signal })).model;
  const ends = [await simple(a), await simple(b)] as const;
  return layerAgreements(...ends, engine, firstOf(feeds, layerSamples), signal);
}

async function diffLatency(a: Model, b: Model, engine: Engine, options: DiffOptions) {
  let feed: Feeds | undefined;
  for await (const each of firstOf(await feedsFor(a, engine, options), 1)) feed = each;
  const times = async (name: string, model: Model) =>
    operatorTimes({ name, source: await modelSource(model), ...bordersAs(model) }, feed!, engine, {
      signal: options.signal,
    });
  return { a: await times('a', a), b: await times('b', b) };
}

/** The inputs that outputs are compared on. */
async function feedsFor(
  model: Model,
  engine: Engine,
  options: DiffOptions,
): Promise<AsyncIterable<Feeds>> {
  const source = await modelSource(model);
  const ports = await portsOf(engine, { name: 'a', source });
  return options.feeds?.(ports) ?? randomInputs(ports, options);
}

async function* firstOf<T>(items: AsyncIterable<T>, most: number): AsyncGenerator<T> {
  let count = 0;
  for await (const item of items) {
    yield item;
    if (++count === most) return;
  }
}

async function fileBytes(model: Model): Promise<number> {
  return (await sizeOf(model, { gzip: null })).fileBytes;
}

function refOf(node: Node): NodeRef {
  return { node: node.label, op: node.op, inside: placeOf(node) };
}

async function changesOf({ a, b }: NodePair, values: ReadonlyMap<Value, Value>): Promise<string[]> {
  const changes: string[] = [];
  const add = (what: string, one: string | undefined, other: string | undefined) => {
    if (one !== other) changes.push(`${what} ${one ?? 'none'} and ${other ?? 'none'}`);
  };
  add('operator', a.op, b.op);
  // Attributes and inputs of two operators have nothing in common but their names.
  if (a.op !== b.op) return changes;
  const [left, right] = [await attributeTexts(a), await attributeTexts(b)];
  for (const name of [...new Set([...left.keys(), ...right.keys()])].sort()) {
    add(name, left.get(name), right.get(name));
  }
  const sides = [
    ['input', a.inputs, b.inputs],
    ['output', a.outputs, b.outputs],
  ] as const;
  for (const [side, one, other] of sides) {
    for (let at = 0; at < Math.max(one.length, other.length); at++) {
      const [x, y] = [one[at], other[at]];
      // The same value under another name is no change of the node.
      if (x && y && values.get(x) === y) continue;
      add(`${side} ${at}`, x?.name, y?.name);
    }
  }
  return changes;
}

function operatorChanges(a: Model, b: Model) {
  const [left, right] = [operatorRows(a, null), operatorRows(b, null)];
  const [before, after] = [left, right].map((rows) => new Map(rows.map((row) => [row.op, row])));
  const operators = [...new Set([...before!.keys(), ...after!.keys()])].map((op) => {
    const [x, y] = [before!.get(op), after!.get(op)];
    return {
      op,
      nodesA: x?.nodes ?? 0,
      nodesB: y?.nodes ?? 0,
      bytesA: x?.weightBytes ?? 0,
      bytesB: y?.weightBytes ?? 0,
    };
  });
  const change = (row: OperatorChange) => Math.abs(row.bytesB - row.bytesA);
  const nodes = (row: OperatorChange) => Math.abs(row.nodesB - row.nodesA);
  const parameters = (rows: readonly OperatorRow[]) =>
    rows.reduce((sum, row) => sum + row.parameters, 0);
  const bytes = (model: Model) => [...constantsOf(model)].reduce((sum, c) => sum + c.bytes, 0);
  return {
    operators: operators.sort((x, y) => change(y) - change(x) || nodes(y) - nodes(x)),
    tensorBytes: { a: bytes(a), b: bytes(b) },
    parameters: { a: parameters(left), b: parameters(right) },
  };
}
