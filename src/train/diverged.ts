/**
 * Why a training step made weights that are no numbers: finds the node at which a gradient that is
 * finite becomes one that is not, such as a Sqrt or Log that meets zero, and what to freeze so that
 * no gradient has to pass there. Runs only when training has failed already.
 */
import type { Engine, Feeds, HostTensor } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { appendLoss, type LossTerm } from './append-loss.js';
import { differentiate } from './differentiate.js';

export interface Divergence {
  /** The model that the step was made of, and its losses. */
  readonly model: Model;
  readonly losses: readonly LossTerm[];
  /** Weights of the model that are no numbers any more. */
  readonly broken: readonly string[];
  /** The batch, with its targets. */
  readonly feeds: Feeds;
  /** The step, from 1. */
  readonly step: number;
  readonly engine: Engine;
}

/**
 * What to tell the user (`quality`); undefined where all gradients are finite, and the step was
 * only too long.
 */
export async function explainDivergence(divergence: Divergence): Promise<PareError | undefined> {
  const { model, broken, step } = divergence;
  const start = await findStart(divergence);
  if (!start) return undefined;
  const nodes = broken.flatMap((name) => [...model.graph.value(name).users]);
  const labels = [...new Set(nodes.map(({ label }) => label))];
  const hint = `what is before it cannot be trained on these samples: --freeze '${labels.join(',')}'`;
  const { node, input } = start;
  return new PareError(
    'quality',
    `train: the gradient of "${input.name}", which "${node.label}" (${node.op}) takes, is no number in step ${step}, and so are those of ${broken.length} weights before it`,
    { node: node.label, hint },
  );
}

/** The last node of the forward pass whose outputs have finite gradients and an input has not. */
async function findStart({
  model,
  losses,
  broken,
  feeds,
  engine,
}: Divergence): Promise<{ node: Node; input: Value } | undefined> {
  const copy = cloneModel(model);
  const loss = appendLoss(copy, losses);
  const nodes = nodesBehind(broken.map((name) => copy.graph.value(name)));
  const names = new Set(
    nodes.flatMap(({ inputs, outputs }) =>
      [...inputs, ...outputs].map((value) => value?.name ?? ''),
    ),
  );
  names.delete('');
  const { gradients } = await differentiate(
    copy,
    { loss: loss.name, wanted: [...names], asOutputs: true },
    { engine },
  );
  const session = await engine.createSession(await modelSource(copy));
  try {
    const results = await session.run(
      feeds,
      Array.from(gradients.values(), ({ name }) => name),
    );
    const state = (value: Value | undefined) => {
      const gradient = value && gradients.get(value.name);
      return gradient ? isAllFinite(results[gradient.name]!) : undefined;
    };
    for (const node of nodes.reverse()) {
      const input = node.inputs.find((each) => state(each) === false);
      const sound = node.outputs.map(state).filter((finite) => finite !== undefined);
      if (input && sound.length > 0 && !sound.includes(false)) return { node, input };
    }
    return undefined;
  } finally {
    await session.release();
  }
}

/** Nodes that depend on any of the values, in order of the graph. */
function nodesBehind(values: readonly Value[]): Node[] {
  const reached = new Set(values);
  const found: Node[] = [];
  for (const node of values[0]?.graph.nodes ?? []) {
    if (!node.inputs.some((input) => input && reached.has(input))) continue;
    found.push(node);
    for (const output of node.outputs) if (output) reached.add(output);
  }
  return found;
}

/** Whether all elements are numbers; integers are. */
export function isAllFinite({ data }: HostTensor): boolean {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return true;
  // A sum is no number where a part is none, and one pass over numbers is all that it takes.
  let sum = 0;
  for (const value of data) sum += value * 0;
  return sum === 0;
}
