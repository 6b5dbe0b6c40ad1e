/**
 * Whether a model can be trained: its gradients are made on a copy, and what is in the way is
 * named. Runs no step.
 */
import type { Engine } from '../engine/engine.js';
import { messageOf, PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { dataTypes } from '../onnx/data-type.js';
import { simplify } from '../simplify/index.js';
import { appendLoss } from '../train/append-loss.js';
import { differentiate, NotDifferentiable } from '../train/differentiate.js';
import { trainableWeights } from '../train/trainable.js';

/** Plain JSON. */
export interface TrainOutlook {
  /** Tensors that can learn, and their elements. */
  readonly tensors: number;
  readonly parameters: number;
  /** Operators without a gradient on the way, by reason, most nodes first. */
  readonly blocked: readonly {
    readonly op: string;
    readonly reason: string;
    readonly nodes: number;
  }[];
  /** Parameters that stay as they are, by reason. */
  readonly frozen: readonly { readonly reason: string; readonly tensors: number }[];
  /** Why nothing can be trained, where that is not for the nodes above. */
  readonly error: string | null;
}

export async function trainOutlook(
  model: Model,
  engine: Engine,
  signal?: AbortSignal,
): Promise<TrainOutlook> {
  const none = { tensors: 0, parameters: 0, blocked: [], frozen: [], error: null };
  try {
    const { model: copy } = await simplify(
      model,
      { exclude: ['merge-initializers'] },
      {
        engine,
        signal,
      },
    );
    const { weights, frozen } = trainableWeights(copy);
    const facts = {
      tensors: weights.length,
      parameters: weights.reduce((sum, { initializer }) => sum + (initializer?.size ?? 0), 0),
      frozen: counted(frozen.map(({ reason }) => reason)).map(([reason, tensors]) => ({
        reason,
        tensors,
      })),
    };
    const isFloat = ({
      dataType,
    }: {
      readonly dataType: Model['graph']['outputs'][number]['dataType'];
    }) => dataType !== undefined && dataTypes[dataType].kind === 'float';
    const outputs = copy.graph.outputs.filter(isFloat);
    if (outputs.length === 0) return { ...none, error: 'no output is of floats' };
    const terms = outputs.map(({ name }) => ({
      loss: 'mse',
      output: name,
      target: `${name}_target`,
    }));
    const loss = appendLoss(copy, terms);
    try {
      const wanted = weights.map(({ name }) => name);
      await differentiate(copy, { loss: loss.name, wanted, signal }, { engine });
      return { ...none, ...facts };
    } catch (error) {
      if (!(error instanceof NotDifferentiable)) throw error;
      const keys = error.blockers.map(({ op, reason }) => `${op}\n${reason}`);
      const blocked = counted(keys).map(([key, nodes]) => {
        const [op, reason] = key.split('\n') as [string, string];
        return { op, reason, nodes };
      });
      return { ...none, ...facts, blocked };
    }
  } catch (error) {
    if (!(error instanceof PareError) || error.code === 'aborted') throw error;
    return { ...none, error: messageOf(error) };
  }
}

/** Most frequent first. */
function counted(keys: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a);
}
