/**
 * What criteria ask of the inputs of masked layers: mean squares or second moments, summed over
 * all nodes that share a weight and put into the order of the weight's matrix.
 */
import type { Model } from '../../graph/model.js';
import { inputMoments, secondMoments } from '../../measure/input-moments.js';
import { inputSquares } from '../../measure/input-squares.js';
import type { WindowRequest } from '../../measure/input-windows.js';
import type { PassContext } from '../../pass.js';
import type { Target } from './targets.js';
import type { FormInputs } from './weight-forms.js';

/** Windows of one sample and layer: a language model has fewer, a convolution need not show more. */
const windowsPerSample = 512;

/** Bytes of second moments that are gathered in one pass over the samples. */
const bytesPerPass = 512e6;

/** Targets that are gathered together; a set that is too large alone is a part by itself. */
export function partsThatFit(targets: readonly Target[]): Target[][] {
  const parts: Target[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const target of targets) {
    const { groups, features } = target.form;
    const size = 8 * groups * features ** 2 * target.uses.length;
    if (bytes + size > bytesPerPass) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(target);
    bytes += size;
  }
  return parts;
}

/** E[x^2] per target, [groups, features] in the order of the matrix. */
export async function squaresOf(
  model: Model,
  targets: readonly Target[],
  context: PassContext,
  pass: string,
): Promise<Float64Array[]> {
  const found = await inputSquares(model, requestsOf(targets), context, pass);
  return reorder(targets, found, ({ groups, features }, order, from) => {
    const into = new Float64Array(groups * features);
    for (let at = 0; at < into.length; at++) {
      const start = at - (at % features);
      into[at] = from[start + order[at % features]!]!;
    }
    return into;
  });
}

/** E[x x'] per target, [groups, features, features] in the order of the matrix. */
export async function momentsOf(
  model: Model,
  targets: readonly Target[],
  context: PassContext,
  pass: string,
): Promise<Float64Array[]> {
  const moments = await inputMoments(model, requestsOf(targets), context, pass);
  const groups = targets.flatMap(({ uses }) => uses.map(({ form }) => form.groups));
  const found = moments.map((each, at) => secondMoments(each, groups[at]!));
  return reorder(targets, found, ({ groups: count, features }, order, from) => {
    if (order.every((feature, at) => feature === at)) return from;
    const into = new Float64Array(from.length);
    for (let group = 0, at = 0; group < count; group++) {
      const start = group * features ** 2;
      for (let i = 0; i < features; i++) {
        const row = start + order[i]! * features;
        for (let j = 0; j < features; j++) into[at++] = from[row + order[j]!]!;
      }
    }
    return into;
  });
}

function requestsOf(targets: readonly Target[]): WindowRequest[] {
  return targets.flatMap(({ uses }) =>
    uses.map(({ node, form }) => {
      const { index, layout } = form.inputs as FormInputs;
      return { name: node.input(index).name, layout, windows: windowsPerSample };
    }),
  );
}

/** The mean over the uses of each target, in the order of its matrix. */
function reorder(
  targets: readonly Target[],
  found: readonly Float64Array[],
  permute: (form: Target['form'], order: readonly number[], from: Float64Array) => Float64Array,
): Float64Array[] {
  let next = 0;
  return targets.map((target) => {
    const { features } = target.form;
    const own = found.slice(next, next + target.uses.length);
    next += target.uses.length;
    const mean = own[0]!.slice();
    for (const other of own.slice(1)) for (let i = 0; i < mean.length; i++) mean[i]! += other[i]!;
    if (own.length > 1) for (let i = 0; i < mean.length; i++) mean[i]! /= own.length;
    const { featureOf } = target.form.inputs as FormInputs;
    return permute(
      target.form,
      Array.from({ length: features }, (_, i) => featureOf(i)),
      mean,
    );
  });
}
