/**
 * What criteria need of activations: mean magnitude, mean square and share of zeros per index of
 * one axis, over samples. Reductions inside the graph: three numbers per index and sample come
 * back. Changes no model.
 */
import { float32Of } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { type PassContext, requireEngine } from '../pass.js';
import type { ActivationStatistics } from './criteria/criterion.js';

export interface ActivationRequest {
  /** Name of a float value of the main graph. */
  readonly name: string;
  /** The axis whose indices are told apart. */
  readonly axis: number;
  readonly rank: number;
}

/**
 * By value name. Every feed counts the same, whatever its length.
 * Throws `usage` without samples, `invalid-data` when there is none.
 */
export async function activationStatistics(
  model: Model,
  requests: readonly ActivationRequest[],
  context: PassContext,
): Promise<Map<string, ActivationStatistics>> {
  const engine = requireEngine(context, 'prune');
  if (!context.samples) {
    throw new PareError('usage', 'prune: this criterion looks at activations and needs samples', {
      hint: 'give data with --data PATH; labels are not needed',
    });
  }
  const found = new Map<string, ActivationStatistics>();
  if (requests.length === 0) return found;
  const probe = cloneModel(model);
  const ports = requests.map((request) => ({ request, outputs: addReductions(probe, request) }));
  const fetches = ports.flatMap(({ outputs }) => outputs);
  const session = await engine.createSession(await modelSource(probe), { optimization: 'basic' });
  const task = context.progress.task('prune: activations');
  let count = 0;
  try {
    for await (const feeds of context.samples()) {
      throwIfAborted(context.signal);
      const results = await session.run(feeds, fetches);
      for (const { request, outputs } of ports) {
        const rows = outputs.map((output) => float32Of(results[output]!));
        const zeros = () => new Float64Array(rows[0]!.length);
        const sums = found.get(request.name) ?? {
          meanMagnitude: zeros(),
          meanSquare: zeros(),
          zeroShare: zeros(),
        };
        found.set(request.name, sums);
        addTo(sums.meanMagnitude, rows[0]!);
        addTo(sums.meanSquare, rows[1]!);
        addTo(sums.zeroShare, rows[2]!);
      }
      task.update(++count);
    }
  } finally {
    task.end();
    await session.release();
  }
  if (count === 0) throw new PareError('invalid-data', 'prune: there is no sample');
  for (const sums of found.values()) {
    for (const each of Object.values(sums) as Float64Array[]) {
      for (let i = 0; i < each.length; i++) each[i]! /= count;
    }
  }
  return found;
}

function addTo(sums: Float64Array, row: Float32Array): void {
  for (let i = 0; i < row.length; i++) sums[i]! += row[i]!;
}

/** Names of the new outputs: mean |x|, mean x^2, share of zeros. */
function addReductions({ graph }: Model, { name, axis, rank }: ActivationRequest): string[] {
  const value = graph.value(name);
  const add = (opType: string, inputs: Value[], attributes = {}) =>
    graph.addNode({ opType, inputs, attributes }).output();
  // Not Equal, which takes floats from opset 11 on only.
  const isZero = add('Cast', [add('Not', [add('Cast', [value], { to: 9 })])], { to: 1 });
  return [add('Abs', [value]), add('Mul', [value, value]), isZero].map((each) =>
    addMean(each, axis, rank),
  );
}

function addMean(value: Value, axis: number, rank: number): string {
  const { graph } = value;
  const axes = Array.from({ length: rank }, (_, at) => at).filter((at) => at !== axis);
  // The axes became an input with opset 18.
  const asInput = (graph.opset() ?? 13) >= 18;
  const inputs = asInput
    ? [value, graph.addInitializer('probe_axes', Tensor.of('int64', [axes.length], axes))]
    : [value];
  const attributes = { keepdims: 0, ...(!asInput && { axes }) };
  const output =
    axes.length > 0
      ? graph.addNode({ opType: 'ReduceMean', inputs, attributes }).output()
      : graph.addNode({ opType: 'Identity', inputs: [value] }).output();
  output.type = tensorType('float');
  graph.outputs.push(output);
  return output.name;
}
