/**
 * The model as it is explained: a simplified copy that takes any batch, with its layers, what it
 * predicts, and the samples in memory. Nothing here scores anything.
 */
import { batches } from '../data/batches.js';
import type { Dataset } from '../data/dataset.js';
import type { Engine, EngineSession, Feeds, PortInfo } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { inferShapes, probeShapes } from '../engine/shapes.js';
import { PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { removeDead } from '../graph/dead.js';
import type { Model } from '../graph/model.js';
import { modelToProto } from '../graph/to-proto.js';
import { type PassContext, requireEngine } from '../pass.js';
import { analyzeCoupling } from '../prune/analyze-coupling.js';
import type { Coupling } from '../prune/family.js';
import { simplify } from '../simplify/index.js';
import { openBatch } from '../train/open-batch.js';
import { prepare } from '../train/prepare.js';
import type { Runnable } from './gradients.js';
import { type FoundLayers, findLayers, type Layer } from './layers.js';
import { repeat } from './path.js';
import { bordersOf } from './split.js';
import { chooseTarget, logitsOf, type Target } from './target.js';

/** `model`: simplified, any batch, opset 18 or above, constants as initializers. */
export interface Subject extends Runnable {
  readonly coupling: Coupling;
  readonly target: Target;
  readonly layers: readonly Layer[];
  readonly output: Layer | undefined;
  readonly skipped: readonly { readonly what: string; readonly reason: string }[];
  readonly ports: readonly PortInfo[];
  /** Whether the first axis of a value that a layer or its surroundings read is that of the samples. */
  isBatched(name: string): boolean;
  readonly context: PassContext;
}

/** Samples of one shape, stacked. */
export interface Rows {
  readonly feeds: Feeds;
  readonly count: number;
  readonly labels: readonly (number | undefined)[];
  readonly ids: readonly string[];
  /** Indices of the samples in the data. */
  readonly indices: readonly number[];
}

/** Rows that probe which values have the batch first: their first dim follows both numbers. */
const probeRows = 3;
const otherRows = 1;

/**
 * @param model is not changed
 * @throws PareError `unsupported` for a model that is fixed to its batch, or that is neither a
 *   classifier nor a language model
 */
export async function openSubject(
  model: Model,
  dataset: Dataset,
  context: PassContext,
): Promise<Subject> {
  const engine = requireEngine(context, 'explain');
  const { model: simple } = await simplify(model, { unshare: true }, context);
  const opened = cloneModel(await openBatch(simple, engine));
  await prepare(opened, engine, { signal: context.signal });
  await inferShapes(engine, opened, { signal: context.signal });
  const ports = await portsOf(engine, opened);
  const [first] = await readRows(dataset, ports, [0], 1);
  if (!first)
    throw new PareError('invalid-data', 'explain: there is no sample', { file: dataset.name });
  const coupling = await analyzeCoupling(
    opened,
    { norms: 'all', dims: dimsOf(first.feeds) },
    context,
  );
  const logits = logitsOf(opened);
  const found = findLayers(coupling, logits);
  const feedsOf = (rows: number) =>
    Object.fromEntries(
      Object.entries(first.feeds).map(([name, tensor]) => [name, repeat(tensor, rows)]),
    );
  const names = new Set([
    logits.name,
    ...found.layers.flatMap(({ value }) => bordersOf(opened, value.name, logits.name)),
  ]);
  const message = modelToProto(opened);
  const shapes = await probeShapes(engine, message, feedsOf(probeRows), names);
  const others = await probeShapes(engine, message, feedsOf(otherRows), names);
  const isBatched = (name: string) =>
    shapes.get(name)?.[0] === probeRows && others.get(name)?.[0] === otherRows;
  const { layers, skipped } = withBatch(found, isBatched);
  return {
    engine,
    signal: context.signal,
    model: opened,
    coupling,
    target: chooseTarget(logits, shapes.get(logits.name) ?? [], feedsOf(probeRows), probeRows),
    layers,
    output: found.output,
    skipped,
    ports,
    isBatched,
    context,
  };
}

/** The samples in batches of one shape, in memory. */
export async function readRows(
  dataset: Dataset,
  ports: readonly PortInfo[],
  indices: ArrayLike<number>,
  batchSize: number,
): Promise<Rows[]> {
  const rows: Rows[] = [];
  let at = 0;
  for await (const { feeds, count, labels, ids } of batches(dataset, ports, {
    batchSize,
    indices,
  })) {
    const own = Array.from({ length: count }, (_, i) => indices[at + i]!);
    rows.push({ feeds, count, labels, ids, indices: own });
    at += count;
  }
  return rows;
}

/** A session that gives these values and nothing else; release it. */
export async function openForward(
  { engine, model, signal }: Runnable,
  ...outputs: readonly string[]
): Promise<EngineSession> {
  const copy = cloneModel(model);
  const { graph } = copy;
  const values = outputs.map((name) => graph.value(name));
  graph.outputs.splice(0, graph.outputs.length, ...new Set(values));
  removeDead(graph);
  return await engine.createSession(await modelSource(copy), { signal });
}

/** One row of a batch, as a batch of one. */
export function rowOf(feeds: Feeds, row: number): Feeds {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { dataType, dims, data }]) => {
      const size = data.length / dims[0]!;
      const [start, end] = [row * size, (row + 1) * size];
      const part = ArrayBuffer.isView(data) ? data.subarray(start, end) : data.slice(start, end);
      return [name, { dataType, dims: [1, ...dims.slice(1)], data: part }];
    }),
  );
}

/** Layers whose first axis is not the batch cannot be told apart by sample. */
function withBatch(
  { layers, skipped }: FoundLayers,
  isBatched: Subject['isBatched'],
): Pick<Subject, 'layers' | 'skipped'> {
  const others = layers.filter(({ value }) => !isBatched(value.name));
  return {
    layers: layers.filter(({ value }) => isBatched(value.name)),
    skipped: [
      ...skipped,
      ...others.map(({ id }) => ({
        what: id,
        reason: 'its first axis is not that of the samples',
      })),
    ],
  };
}

async function portsOf(engine: Engine, model: Model): Promise<readonly PortInfo[]> {
  const session = await engine.createSession(await modelSource(model), {
    optimization: 'disabled',
  });
  const { inputs } = session;
  await session.release();
  return inputs;
}

function dimsOf(feeds: Feeds): Record<string, number[]> {
  return Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, [...dims]]));
}
