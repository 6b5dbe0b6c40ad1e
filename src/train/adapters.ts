/**
 * Low-rank adapters (LoRA; Hu et al. 2021, arXiv:2106.09685): a weight W stays as it is, and a
 * product of two thin matrices is trained beside it, y = x W + s (x A) B. A starts at random and B
 * at zero, so that the first step sees the model as it was; in the end W + s A B takes the place of
 * W, and the model has the structure and the size that it had. Knows no optimizer and no loss.
 *
 * Training keeps state for A and B alone, and the gradient of W, as large as W, is never computed.
 * A pruned weight is the exception: its zeros must stay, so what is trained is W + s (A B) ∘ mask
 * (as in SPP, Lu et al. 2024, arXiv:2405.16057), whose gradient passes through the whole matrix.
 */
import type { Engine } from '../engine/engine.js';
import { createMatMul } from '../engine/matmul.js';
import { PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { Tensor } from '../onnx/tensor.js';
import { type MatrixProduct, matrixProductOf } from '../ops/matrix-product.js';
import { checkPatterns, nodeMatcher } from '../pattern.js';
import { maskOf } from '../prune/masks.js';
import { createRandom } from '../random.js';
import type { FinetuneOptions } from './finetune-options.js';
import type { Weights } from './loop.js';
import type { TrainingStep } from './step.js';

export interface AdapterOptions {
  readonly rank: number;
  /** The product counts alpha / rank times. Default the rank. */
  readonly alpha?: number | undefined;
  /** Patterns of nodes whose weights get adapters. Default all that can have one. */
  readonly targets?: readonly string[] | undefined;
  /** Patterns of nodes that stay as they are. */
  readonly freeze?: readonly string[] | undefined;
  /** Names of pruned weights, whose zeros stay. */
  readonly masked: ReadonlySet<string>;
  readonly seed: number;
}

export interface Adapter {
  /** Names of the weight and of the two matrices beside it: [in, rank] and [rank, out]. */
  readonly weight: string;
  readonly a: string;
  readonly b: string;
  readonly scale: number;
  /** The weight is stored as [out, in]. */
  readonly transposed: boolean;
  readonly masked: boolean;
}

export interface Adapters {
  readonly list: readonly Adapter[];
  /** Weights of products without an adapter, with the reason. */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Adds adapters to this model; work on a copy. Values keep their names.
 *
 * @throws PareError `usage` for a pattern that matches no node, `unsupported` when no weight can
 *   have an adapter
 * @example const { list } = await addAdapters(cloneModel(student), { rank: 8, masked, seed: 0 });
 */
export async function addAdapters(model: Model, options: AdapterOptions): Promise<Adapters> {
  const { graph } = model;
  const { rank, alpha = rank, targets = [], freeze = [], masked, seed } = options;
  checkPatterns(targets, graph.nodes, 'lora-targets');
  const isTarget = targets.length > 0 ? nodeMatcher(targets) : () => true;
  const isFrozen = nodeMatcher(freeze);
  const list: Adapter[] = [];
  const skipped: { name: string; reason: string }[] = [];
  const seen = new Set<Value>();
  const random = createRandom(seed);
  for (const node of [...graph.nodes]) {
    const product = matrixProductOf(node);
    const weight = product && weightOf(node, product);
    if (!weight || seen.has(weight)) continue;
    seen.add(weight);
    const chosen = placesOf(weight, rank, (user) => {
      if (isFrozen(user)) return 'is frozen by the caller';
      return isTarget(user) ? undefined : 'is not among the targets';
    });
    if ('reason' in chosen) {
      skipped.push({ name: weight.name, ...chosen });
      continue;
    }
    const { places, transposed } = chosen;
    const isMasked = masked.has(weight.name);
    const [rows, columns] = weight.initializer!.dims as [number, number];
    const [inner, outer] = transposed ? [columns, rows] : [rows, columns];
    // Rows of the input keep their scale.
    const size = 1 / Math.sqrt(inner);
    const start = Float32Array.from({ length: inner * rank }, () => size * random.normal());
    const a = graph.addInitializer(
      `${weight.name}/lora_a`,
      Tensor.of('float', [inner, rank], start),
    );
    const b = graph.addInitializer(
      `${weight.name}/lora_b`,
      Tensor.of('float', [rank, outer], new Float32Array(rank * outer)),
    );
    const scale = alpha / rank;
    const adapter = { weight: weight.name, a: a.name, b: b.name, scale, transposed };
    if (isMasked) await addToWeight(weight, a, b, places, adapter);
    else for (const place of places) addBeside(place, a, b, scale);
    list.push({ ...adapter, masked: isMasked });
  }
  if (list.length > 0) return { list, skipped };
  const [first] = skipped;
  throw new PareError('unsupported', 'lora: no weight can have an adapter', {
    hint: first
      ? `"${first.name}" ${first.reason}`
      : 'adapters go beside float matrices of MatMul and Gemm, and the model has none',
  });
}

/**
 * What the adapters make of their weights.
 *
 * @param trained contents of the matrices A and B, by name
 * @param model holds the weights as they were before
 */
export async function mergeAdapters(
  { list }: Adapters,
  trained: Weights,
  model: Model,
  engine: Engine,
): Promise<Weights> {
  const blas = createMatMul(engine);
  try {
    const merged: Record<string, Weights[string]> = {};
    for (const { weight, a, b, scale, transposed, masked } of list) {
      const { dims, data } = await contentOf(model.graph.value(weight));
      const [left, right] = [matrixOf(trained[a]!), matrixOf(trained[b]!)];
      const product = transposed
        ? await blas.multiply(right, left, { transA: true, transB: true, alpha: scale })
        : await blas.multiply(left, right, { alpha: scale });
      const sum = data.map((number, at) =>
        masked && number === 0 ? 0 : number + product.data[at]!,
      );
      merged[weight] = { dataType: 'float', dims, data: sum };
    }
    return merged;
  } finally {
    await blas.release();
  }
}

interface Place {
  readonly node: Node;
  readonly product: MatrixProduct;
}

function weightOf(node: Node, product: MatrixProduct | string): Value | undefined {
  const index = typeof product === 'string' ? 1 : product.matrix;
  const value = node.inputs[index];
  return value?.isConstant && value.dataType === 'float' ? value : undefined;
}

/** The products that a weight is in, or why it can have no adapter. */
function placesOf(
  weight: Value,
  rank: number,
  refuse: (node: Node) => string | undefined,
): { places: Place[]; transposed: boolean } | { reason: string } {
  const { dims } = weight.initializer!;
  if (dims.length !== 2) return { reason: `has ${dims.length} dims, not 2` };
  if (weight.isOutput) return { reason: 'is an output of the model' };
  const places: Place[] = [];
  for (const { node, index } of weight.uses) {
    const product = matrixProductOf(node);
    if (typeof product === 'string') return { reason: `is used by "${node.label}": ${product}` };
    if (product?.matrix !== index || node.graph !== weight.graph) {
      return { reason: `is also used by "${node.label}" (${node.op}), in another way` };
    }
    const reason = refuse(node);
    if (reason) return { reason };
    places.push({ node, product });
  }
  const { transposed } = places[0]!.product;
  if (places.some(({ product }) => product.transposed !== transposed)) {
    return { reason: 'is used as it is and transposed' };
  }
  if (rank >= Math.min(...dims)) {
    return { reason: `is [${dims}], and a rank of ${rank} is no less` };
  }
  return { places, transposed };
}

/** y = x W becomes y = x W + s (x A) B. */
function addBeside({ node, product }: Place, a: Value, b: Value, scale: number): void {
  const graph = node.graph!;
  const [output] = node.takeOutputs();
  const base = graph.addValue(graph.freshName(`${output!.name}/base`));
  node.setOutput(0, base);
  const sum = graph.addNode(
    {
      opType: 'Add',
      name: graph.freshNodeName(`${node.label}/lora`),
      inputs: [base, base],
      outputs: [output],
    },
    { after: node },
  );
  const e = new Emitter(graph, { scope: `${node.label}/lora`, position: { before: sum } });
  const thin = e.op('MatMul', [node.input(product.rows), a]);
  const factor = scale * product.factor;
  sum.setInput(1, e.op('MatMul', [factor === 1 ? thin : e.mul(thin, factor), b]));
}

/** W becomes W + s (A B) ∘ mask, for all products that it is in. */
async function addToWeight(
  weight: Value,
  a: Value,
  b: Value,
  places: readonly Place[],
  { scale, transposed }: { readonly scale: number; readonly transposed: boolean },
): Promise<void> {
  const tensor = weight.initializer!;
  const graph = weight.graph;
  const e = new Emitter(graph, {
    scope: `${weight.name}/lora`,
    position: { before: graph.nodes.first! },
  });
  const product = e.op('MatMul', [a, b]);
  const stored = transposed ? e.transpose(product, [1, 0]) : product;
  const mask = graph.addInitializer(
    `${weight.name}/mask`,
    Tensor.raw('uint8', tensor.dims, await maskOf(tensor)),
  );
  const scaled = scale === 1 ? stored : e.mul(stored, scale);
  const sum = e.add(weight, e.mul(scaled, e.cast(mask)));
  for (const { node, product: at } of places) node.setInput(at.matrix, sum);
}

async function contentOf(value: Value) {
  const { dims } = value.initializer!;
  return { dims, data: await value.initializer!.floats() };
}

function matrixOf({ dims, data }: Weights[string]) {
  return { dims: [dims[0]!, dims[1]!] as const, data: data as Float32Array };
}

/** The model with adapters beside its weights; undefined where the weights themselves train. */
export async function adaptersFor(
  model: Model,
  { lora, loraAlpha, loraTargets, freeze }: FinetuneOptions,
  masked: ReadonlySet<string>,
  seed: number,
): Promise<(Adapters & { readonly model: Model }) | undefined> {
  if (lora === undefined) {
    const alone = loraAlpha !== undefined ? 'lora-alpha' : loraTargets.length > 0 && 'lora-targets';
    if (!alone) return undefined;
    throw new PareError('usage', `finetune: ${alone} is given without lora`, {
      hint: 'add --lora RANK, for example 8',
    });
  }
  const copy = cloneModel(model);
  const options = { rank: lora, alpha: loraAlpha, targets: loraTargets, freeze, masked, seed };
  return { ...(await addAdapters(copy, options)), model: copy };
}

/** What stays when adapters train: everything but the weights that they are beside. */
export function frozenBeside(
  adapters: Adapters,
  frozen: TrainingStep['frozen'],
): TrainingStep['frozen'] {
  const adapted = new Set(adapters.list.map(({ weight }) => weight));
  const reasons = new Map(adapters.skipped.map(({ name, reason }) => [name, reason]));
  return frozen
    .filter(({ name }) => !adapted.has(name))
    .map(({ name, reason }) => ({ name, reason: reasons.get(name) ?? reason }));
}
