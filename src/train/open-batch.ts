/**
 * Makes a model that was exported for a fixed batch take any batch, which training needs. The
 * result is believed only after it was run: two samples in one batch must give what each gives
 * alone.
 */
import type { Engine, Feeds, HostTensor, PortInfo } from '../engine/engine.js';
import { float32Of, hostTensor, randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { inferShapes } from '../engine/shapes.js';
import { messageOf, PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import type { Dim } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { batchConstants, batchExpansions } from '../ops/batch-dims.js';
import { addBatchAxis } from './add-batch-axis.js';

/** Name of the opened dim. */
const batchName = 'batch';

/** Most relative difference between a sample alone and in a batch: kernels add in another order. */
const tolerance = 1e-4;

/**
 * A copy whose inputs and outputs have an open first dim; the model itself where they have one
 * already, or a fixed one of `batchSize`.
 *
 * @throws PareError `unsupported` when the model mixes its samples or bakes the batch in where
 *   pare cannot open it, with what the runtime said
 * @example const trainable = await openBatch(simple, engine);
 */
export async function openBatch(model: Model, engine: Engine, batchSize?: number): Promise<Model> {
  const sizes = new Set(
    model.graph.inputs.filter((input) => !input.initializer).map((input) => input.dims?.[0]),
  );
  const [batch] = sizes;
  if (sizes.size !== 1 || typeof batch !== 'number' || batch === batchSize) return model;
  try {
    return await openDim(model, batch, engine);
  } catch (cause) {
    const added = batch === 1 ? await tryAxis(model, engine) : 'it is not made for one sample';
    if (typeof added !== 'string') return added;
    throw new PareError(
      'unsupported',
      `train: the model is made for batches of ${batch} and cannot be opened: ${messageOf(cause)}; nor can an axis be added: ${added}`,
      { hint: `export it with an open batch, or train with --batch-size ${batch}`, cause },
    );
  }
}

/** The batch where the model has it. */
async function openDim(model: Model, batch: number, engine: Engine): Promise<Model> {
  const open = cloneModel(model);
  await inferShapes(engine, open);
  await openConstants(open, batch);
  for (const value of open.graph.values) {
    if (value.type?.kind !== 'tensor' || value.isConstant) continue;
    const { dataType, dims } = value.type;
    if (value.isInput) {
      value.type = { kind: 'tensor', dataType, dims: openDims(dims) };
    } else if (value.isOutput) {
      value.type = { kind: 'tensor', dataType, dims: undefined };
    } else value.type = undefined;
  }
  await prove(model, open, batch, engine);
  await inferShapes(engine, open);
  return open;
}

/** An axis for the samples in front of all values, or why that cannot be. */
async function tryAxis(model: Model, engine: Engine): Promise<Model | string> {
  try {
    const open = await addBatchAxis(model, engine);
    await prove(model, open, 1, engine);
    await inferShapes(engine, open);
    return open;
  } catch (error) {
    return messageOf(error);
  }
}

function openDims(dims: readonly Dim[] | undefined): readonly Dim[] | undefined {
  return dims && [batchName, ...dims.slice(1)];
}

async function openConstants(model: Model, batch: number): Promise<void> {
  for (const node of model.graph.nodes) {
    const row = batchConstants[node.op];
    const numbers = row && (await node.constantInput(row.input)?.numbers());
    const opened = numbers && row.open(node, numbers, batch);
    if (!opened) continue;
    const tensor = Tensor.of('int64', [opened.length], opened.map(BigInt));
    node.setInput(row.input, node.graph!.addInitializer(`${node.label}_shape`, tensor));
  }
  for (const node of [...model.graph.nodes]) {
    const found = batchExpansions[node.op]?.(node, batch);
    for (const input of found?.constants ?? []) expandConstant(node, input, found!.like);
  }
}

/**
 * Repeats a constant by Expand; the constant itself stays, so that it can be trained. Not with an
 * Emitter, which would take the batch from the types that are to be opened.
 */
function expandConstant(node: Node, input: number, like: number): void {
  const graph = node.graph!;
  const add = (opType: string, inputs: Value[], attributes = {}) =>
    graph
      .addNode(
        { opType, name: graph.freshNodeName(`${node.label}_batch`), inputs, attributes },
        { before: node },
      )
      .output();
  const list = (name: string, numbers: readonly number[]) =>
    graph.addInitializer(name, Tensor.of('int64', [numbers.length], numbers.map(BigInt)));
  const constant = node.input(input);
  const dims = add('Shape', [node.input(like)]);
  const count = add('Gather', [dims, list(`${node.label}_first`, [0])]);
  const ones = Array<number>(constant.constant!.dims.length - 1).fill(1);
  const shape =
    ones.length > 0 ? add('Concat', [count, list(`${node.label}_ones`, ones)], { axis: 0 }) : count;
  node.setInput(input, add('Expand', [constant, shape]));
}

/** Throws what speaks against the opened model. */
async function prove(model: Model, open: Model, batch: number, engine: Engine): Promise<void> {
  const plain = { optimization: 'basic' } as const;
  const before = await engine.createSession(await modelSource(model), plain);
  try {
    const after = await engine.createSession(await modelSource(open), plain);
    try {
      const feeds = [1, 2].map((seed) => randomFeeds(before.inputs, { seed }));
      const both = await after.run(stack(feeds));
      for (const [at, each] of feeds.entries()) {
        compare(await before.run(each), both, at * batch, after.outputs);
      }
    } finally {
      await after.release();
    }
  } finally {
    await before.release();
  }
}

function stack(feeds: readonly Feeds[]): Feeds {
  const [first] = feeds;
  return Object.fromEntries(
    Object.entries(first!).map(([name, { dataType, dims, data }]) => {
      const all = new (data.constructor as Float32ArrayConstructor)(data.length * feeds.length);
      for (const [at, each] of feeds.entries()) {
        all.set(each[name]!.data as Float32Array, at * data.length);
      }
      return [name, hostTensor(dataType, [dims[0]! * feeds.length, ...dims.slice(1)], all)];
    }),
  );
}

function compare(
  alone: Readonly<Record<string, HostTensor>>,
  both: Readonly<Record<string, HostTensor>>,
  row: number,
  ports: readonly PortInfo[],
): void {
  for (const { name } of ports) {
    const one = alone[name]!;
    const batch = both[name]!;
    const expected = float32Of(one);
    const size = one.dims.slice(1).reduce((product, dim) => product * dim, 1);
    if (batch.dims.length !== one.dims.length || batch.dims[0] !== 2 * one.dims[0]!) {
      const dims = `[${one.dims}] alone and [${batch.dims}] for two`;
      throw new Error(`its output "${name}" is ${dims}`);
    }
    const actual = float32Of(batch).subarray(row * size, row * size + expected.length);
    let difference = 0;
    let norm = 0;
    for (const [i, value] of expected.entries()) {
      difference += (value - actual[i]!) ** 2;
      norm += value ** 2;
    }
    const relative = Math.sqrt(difference / (norm || 1));
    if (!(relative <= tolerance)) {
      throw new Error(
        `its output "${name}" of a sample depends on the samples beside it (relative difference ${relative.toExponential(1)})`,
      );
    }
  }
}
