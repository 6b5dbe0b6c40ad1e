/**
 * What criteria need of gradients: mean and mean square of the slope of a loss by every element of
 * a weight, sample by sample. One run per sample of the model with its gradients as outputs; only
 * the two sums are kept, so memory does not grow with the samples. Changes no model.
 *
 * The loss is the cross-entropy of the first output of floats with the label of the sample. Without
 * a label it is that with the class that the model itself names: the outputs themselves as the
 * target would give a gradient of zero everywhere, since no change of a model is nearer to it than
 * it is to itself. Sources: Molchanov et al. (2019), arXiv:1906.10771; for the squares, the
 * empirical Fisher matrix of Theis et al. (2018), arXiv:1801.05787.
 */
import type { EngineSession, Feeds, HostTensor } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { inferShapes } from '../engine/shapes.js';
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { dataTypes } from '../onnx/data-type.js';
import { probabilityFormOf } from '../ops/probabilities.js';
import { type PassContext, requireEngine } from '../pass.js';
import { appendLoss } from '../train/append-loss.js';
import { differentiate } from '../train/differentiate.js';
import { isAllFinite } from '../train/diverged.js';
import { prepare } from '../train/prepare.js';
import type { WeightGradient } from './criteria/criterion.js';

/** Input with the class number of the sample; below zero where it has none. */
const labelName = 'prune/label';

/**
 * By name of the constant. Those that are no floats, or on which the loss does not depend
 * smoothly, are left out.
 *
 * @throws PareError `usage` without samples, `unsupported` for a model without classes or with
 *   operators that have no gradient
 */
export async function weightGradients(
  model: Model,
  names: readonly string[],
  context: PassContext,
): Promise<Map<string, WeightGradient>> {
  const engine = requireEngine(context, 'prune');
  if (!context.samples) {
    throw new PareError('usage', 'prune: this criterion looks at gradients and needs samples', {
      hint: 'give data with --data PATH; labels are used where there are some',
    });
  }
  const probe = cloneModel(model);
  // The loss is written in operators of a newer set than the model may have.
  await prepare(probe, engine, { signal: context.signal });
  await inferShapes(engine, probe, { signal: context.signal });
  const { graph } = probe;
  const wanted = names.filter((name) => {
    const { dataType } = graph.value(name);
    return dataType !== undefined && dataTypes[dataType].kind === 'float';
  });
  if (wanted.length === 0) return new Map();
  const takesLabel = await appendCrossEntropy(probe, context.labels !== undefined);
  const { gradients } = await differentiate(
    probe,
    { loss: 'prune/loss', wanted, signal: context.signal },
    { engine },
  );
  const outputs = new Map([...gradients].map(([name, value]) => [name, value.name]));
  if (outputs.size === 0) return new Map();
  graph.outputs.splice(0, graph.outputs.length, ...new Set(gradients.values()));
  const session = await engine.createSession(await modelSource(probe), { optimization: 'basic' });
  try {
    return await accumulate(session, outputs, takesLabel, context, (broken) =>
      brokenGradients(model, broken),
    );
  } finally {
    await session.release();
  }
}

/** Returns whether the loss takes the label of the sample. Names the loss `prune/loss`. */
async function appendCrossEntropy(model: Model, hasLabels: boolean): Promise<boolean> {
  const { graph } = model;
  const output = graph.outputs.find(
    ({ dataType }) => dataType && dataTypes[dataType].kind === 'float',
  );
  const form = output?.producer && probabilityFormOf(output.producer);
  const logits: Value | undefined = form ? output.producer!.input(form.logits) : output;
  const rank = logits?.dims?.length ?? 0;
  const axis = form ? form.axis(output!.producer!) : -1;
  if (!logits || rank === 0 || logits.dims!.at(axis) === 1) {
    throw new PareError(
      'unsupported',
      'prune: gradients are those of a loss over classes, and the first output has none',
      { tensor: output?.name, hint: 'choose a criterion without gradients, such as wanda or l2' },
    );
  }
  const e = new Emitter(graph, { scope: 'prune' });
  const own = e.op('ArgMax', [logits], { axis, keepdims: 0 });
  // A label is a class of the whole sample: it fits one row of classes.
  const takesLabel = hasLabels && rank === 2;
  let target = own;
  if (takesLabel) {
    const label = graph.addInput(labelName, tensorType('int64', [1]));
    target = e.op('Where', [e.op('Less', [label, e.scalar(0, 'int64')]), own, label]);
  }
  const loss = appendLoss(model, [
    { loss: 'cross-entropy', output: logits.name, target: target.name, options: { axis } },
  ]);
  loss.rename('prune/loss');
  return takesLabel;
}

async function accumulate(
  session: EngineSession,
  outputs: ReadonlyMap<string, string>,
  takesLabel: boolean,
  context: PassContext,
  explain: (broken: readonly string[]) => PareError,
): Promise<Map<string, WeightGradient>> {
  const sums = new Map<string, Sums>();
  const task = context.progress.task('prune: gradients');
  let count = 0;
  try {
    for await (const { feeds, label } of labelled(context)) {
      throwIfAborted(context.signal);
      const results = await session.run({
        ...feeds,
        ...(takesLabel && { [labelName]: labelTensor(label) }),
      });
      const broken = [...outputs].filter(([, output]) => !isAllFinite(results[output]!));
      if (broken.length > 0) throw explain(broken.map(([name]) => name));
      for (const [name, output] of outputs) {
        const slope = float32Of(results[output]!);
        const sum = sums.get(name) ?? new Sums(slope.length);
        sums.set(name, sum);
        sum.add(slope);
      }
      task.update(++count);
    }
  } finally {
    task.end();
  }
  if (count === 0) throw new PareError('invalid-data', 'prune: there is no sample');
  return new Map([...sums].map(([name, sum]) => [name, sum.mean(count)]));
}

/** Something behind these weights has no finite slope on a sample: a Sqrt or Log at zero, say. */
function brokenGradients(model: Model, weights: readonly string[]): PareError {
  const nodes = weights.flatMap((name) => [...model.graph.value(name).users]);
  const labels = [...new Set(nodes.map(({ label }) => label))];
  return new PareError(
    'unsupported',
    `prune: the gradients of ${weights.length} weights are no numbers on a sample; ${labels.length} nodes read them`,
    {
      node: labels[0],
      hint: `leave their widths as they are, --exclude '${labels.join(',')}', or choose a criterion without gradients, such as wanda or l2`,
    },
  );
}

/** Samples with their labels, where the context has labels. */
async function* labelled({
  samples,
  labels,
}: PassContext): AsyncGenerator<{ feeds: Feeds; label: number | undefined }> {
  const own = labels?.()[Symbol.asyncIterator]();
  try {
    for await (const feeds of samples!()) yield { feeds, label: (await own?.next())?.value };
  } finally {
    await own?.return?.();
  }
}

function labelTensor(label: number | undefined): HostTensor {
  return hostTensor('int64', [1], BigInt64Array.of(BigInt(label ?? -1)));
}

/** In double: thousands of small squares are added. */
class Sums {
  readonly #first: Float64Array;
  readonly #second: Float64Array;

  constructor(length: number) {
    this.#first = new Float64Array(length);
    this.#second = new Float64Array(length);
  }

  add(slope: Float32Array): void {
    for (let i = 0; i < slope.length; i++) {
      const g = slope[i]!;
      this.#first[i]! += g;
      this.#second[i]! += g * g;
    }
  }

  mean(count: number): WeightGradient {
    const mean = (sums: Float64Array) => Float32Array.from(sums, (sum) => sum / count);
    return { mean: mean(this.#first), meanSquare: mean(this.#second) };
  }
}
