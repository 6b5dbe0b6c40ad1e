/**
 * Reverse-mode differentiation: adds to a model the nodes that compute the gradients of a scalar
 * loss with respect to any of its values (weights, hidden activations, inputs). The nodes are
 * standard operators of inference, so the result runs wherever the model does; activations of the
 * forward pass are used again, equal expressions are written once, and only what leads from the
 * wanted values to the loss is looked at.
 *
 * Knows no operator: rules are in src/ops/gradient. Optimizers and losses are not its business.
 * Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 3.
 */
import type { Engine } from '../engine/engine.js';
import { PareError, throwIfAborted } from '../errors.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { type DataType, dataTypes } from '../onnx/data-type.js';
import { gradientOf } from '../ops/gradient/index.js';
import { GradientEmitter, NoGradient } from '../ops/gradient/rule.js';
import { type StateUpdate, trainingFormOf } from '../ops/training-form.js';
import { type GradientPath, gradientPath } from './path.js';
import { expandNode, prepare, typeValues } from './prepare.js';

export interface DifferentiateOptions {
  /** Name of the value to differentiate; it has one element. */
  readonly loss: string;
  /** Names of the values whose gradients are wanted. */
  readonly wanted: readonly string[];
  /**
   * 'frozen' (default): normalization by the running statistics, as in inference. 'training': by
   * the statistics of the batch, and the running ones are updated.
   */
  readonly batchNormalization?: 'frozen' | 'training';
  /** Whether ScatterND and ScatterElements may be used; default true. WebGPU may lack them. */
  readonly scatter?: boolean;
  /** Makes the gradients outputs of the graph. */
  readonly asOutputs?: boolean;
  /** Numbers for symbolic dims of the inputs, such as { batch: 32 }: smaller graphs, for that size only. */
  readonly dims?: Readonly<Record<string, number>>;
  readonly signal?: AbortSignal | undefined;
}

export interface Differentiation {
  /**
   * By name of the wanted value: its gradient, of the same dims, in float (double where the loss
   * is double), named `gradient/NAME`.
   */
  readonly gradients: ReadonlyMap<string, Value>;
  /** Wanted values on which the loss does not depend smoothly: their gradient is zero. */
  readonly unreached: readonly string[];
  /** What batchNormalization: 'training' makes of the running statistics. */
  readonly stateUpdates: readonly StateUpdate[];
}

/** A node on the way of a gradient that has none. */
export interface Blocker {
  readonly node: string;
  readonly op: string;
  readonly reason: string;
}

/** Says which nodes, all of them, keep a model from being differentiated. */
export class NotDifferentiable extends PareError {
  readonly blockers: readonly Blocker[];

  constructor(blockers: readonly Blocker[]) {
    const list = blockers.map(({ node, op, reason }) => `"${node}" (${op}): ${reason}`);
    const shown = list.slice(0, 8).join('; ');
    const more = list.length > 8 ? `; and ${list.length - 8} more` : '';
    super('unsupported', `differentiate: ${list.length} nodes have no gradient: ${shown}${more}`, {
      hint: 'leave out the values whose gradient would have to pass there',
    });
    this.blockers = blockers;
  }
}

/**
 * Adds gradients to this model; work on a copy (`cloneModel`). The opset is raised to 18 where it
 * is lower, Constant nodes become initializers, and operators such as LSTM are written out.
 *
 * Throws NotDifferentiable (`unsupported`) with every node that is in the way.
 *
 * @example
 * const model = cloneModel(trained);
 * const terms = [{ loss: 'cross-entropy', output: 'logits', target: 'label' }];
 * const loss = appendLoss(model, terms);
 * const { gradients } = await differentiate(
 *   model,
 *   { loss: loss.name, wanted: ['fc.weight', 'fc.bias'] },
 *   { engine },
 * );
 * gradients.get('fc.weight').name; // 'gradient/fc.weight'
 */
export async function differentiate(
  model: Model,
  options: DifferentiateOptions,
  { engine }: { readonly engine: Engine },
): Promise<Differentiation> {
  const { graph } = model;
  const loss = graph.value(options.loss);
  const wanted = options.wanted.map((name) => graph.value(name));
  await prepare(model, engine, options);
  // Behind the change of opset: before 14 a node has no form for training.
  const stateUpdates = options.batchNormalization === 'training' ? switchToTraining(model) : [];
  // Inferred types serve the rules; in the file they would only take room.
  const types = new Map(Array.from(graph.values, (value) => [value, value.type]));
  const path = await expandPath(model, loss, wanted, engine, options.signal);
  requireScalar(loss);
  const found = backward(model, loss, wanted, path, options.scatter ?? true);
  const gradients = new Map<string, Value>();
  for (const value of wanted) {
    const gradient = found.get(value);
    if (!gradient || gradients.has(value.name)) continue;
    const named = nameGradient(gradient, value, new Set([...types.keys(), ...gradients.values()]));
    gradients.set(value.name, named);
    if (options.asOutputs) {
      types.set(named, tensorType(gradientType(loss), value.dims));
      if (!named.isOutput) graph.outputs.push(named);
    }
  }
  for (const value of graph.values) value.type = types.get(value);
  return {
    gradients,
    unreached: options.wanted.filter((name) => !gradients.has(name)),
    stateUpdates,
  };
}

function switchToTraining({ graph }: Model): StateUpdate[] {
  return [...graph.nodes].flatMap((node) => trainingFormOf(node.op)?.(node) ?? []);
}

/** Writes out what is differentiated through other operators, until nothing of it is left. */
async function expandPath(
  model: Model,
  loss: Value,
  wanted: readonly Value[],
  engine: Engine,
  signal: AbortSignal | undefined,
): Promise<GradientPath> {
  for (;;) {
    throwIfAborted(signal);
    await typeValues(model, engine, signal);
    const path = gradientPath(model.graph, loss, wanted);
    const blockers = new Blockers();
    let isExpanded = false;
    for (const node of path.nodes) {
      const entry = gradientOf(node.op);
      if (entry.kind !== 'expand') continue;
      blockers.catching(node, () => {
        expandNode(node, entry.expand);
        isExpanded = true;
      });
    }
    if (!isExpanded) {
      blockers.throwIfAny();
      return path;
    }
  }
}

function requireScalar(loss: Value): void {
  const { dims } = loss;
  if (dims?.every((dim) => dim === 1)) return;
  throw new PareError(
    'usage',
    `differentiate: the loss has dims [${dims?.map((dim) => dim ?? '?') ?? '?'}], not one element`,
    { tensor: loss.name, hint: 'reduce it with ReduceMean or ReduceSum' },
  );
}

/** float16 models keep their gradients in float, where small ones do not vanish. */
function gradientType(loss: Value): DataType {
  return loss.dataType === 'double' ? 'double' : 'float';
}

/** Visits the path from its end and adds up what each use of a value contributes. */
function backward(
  { graph }: Model,
  loss: Value,
  wanted: readonly Value[],
  { nodes, active }: GradientPath,
  scatter: boolean,
): ReadonlyMap<Value, Value> {
  const type = gradientType(loss);
  const base = new Emitter(graph, { scope: 'gradient', type, scatter });
  const contributions = new Map<Value, Value[]>();
  const gradients = new Map<Value, Value>();
  const blockers = new Blockers();
  const widen = (value: Value) => (isNarrow(value) ? base.cast(value) : value);
  const gradientOfValue = (value: Value): Value | undefined => {
    const parts = contributions.get(value);
    if (parts && !gradients.has(value)) gradients.set(value, base.sum(parts));
    return gradients.get(value);
  };
  if (active.has(loss)) contributions.set(loss, [base.fill(loss, 1)]);
  for (const node of [...nodes].reverse()) {
    const outputGradients = node.outputs.map((output) => output && gradientOfValue(output));
    if (outputGradients.every((gradient) => gradient === undefined)) continue;
    blockers.catching(node, () => {
      const entry = gradientOf(node.op);
      if (entry.kind === 'stops') return;
      if (entry.kind !== 'rule') {
        throw new NoGradient(entry.kind === 'unsupported' ? entry.reason : 'it is not written out');
      }
      const emitter = new GradientEmitter({ node, outputGradients, type, scatter, widen }, base);
      const parts = entry.rule(emitter, node);
      // A rule may add outputs to the node, not inputs.
      for (const [index, input] of node.inputs.entries()) {
        const write = parts[index];
        if (!input || !active.has(input) || !write) continue;
        const list = contributions.get(input) ?? [];
        list.push(write());
        contributions.set(input, list);
      }
    });
  }
  blockers.throwIfAny();
  for (const value of wanted) gradientOfValue(value);
  return gradients;
}

function isNarrow({ dataType }: Value): boolean {
  return (
    dataType !== undefined && dataTypes[dataType].kind === 'float' && dataTypes[dataType].bits < 32
  );
}

/** Collects what NoGradient says, so that a user sees all of it at once. */
class Blockers {
  readonly #list: Blocker[] = [];

  catching(node: Node, write: () => void): void {
    const { label, op } = node;
    try {
      write();
    } catch (error) {
      if (!(error instanceof NoGradient)) throw error;
      this.#list.push({ node: label, op, reason: error.message });
    }
  }

  throwIfAny(): void {
    if (this.#list.length > 0) throw new NotDifferentiable(this.#list);
  }
}

/** Gives the gradient its name; through Identity where it has one, or is a value of the model. */
function nameGradient(gradient: Value, value: Value, taken: ReadonlySet<Value>): Value {
  const { graph } = gradient;
  const name = graph.freshName(`gradient/${value.name}`);
  if (gradient.producer && !gradient.isOutput && !taken.has(gradient)) {
    gradient.rename(name);
    return gradient;
  }
  return graph.addNode({ opType: 'Identity', inputs: [gradient], outputs: [name] }).output();
}
