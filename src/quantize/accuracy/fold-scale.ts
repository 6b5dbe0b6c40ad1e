/**
 * Lets what makes a value multiply each channel on the last axis by a factor: constants of a
 * normalization or of a Mul, the weights of a linear layer, through activations and reshapes. Plans
 * first and changes nothing until all of the plan is found possible.
 */
import type { Value } from '../../graph/value.js';
import { Tensor } from '../../onnx/tensor.js';
import { channelVector } from '../../simplify/affine.js';
import { isAnnotationPart, setConstantInput } from '../../simplify/edit.js';
import { knownDims } from '../../simplify/known.js';
import { linearBefore, type Planned, planAfter, whyNotChange } from '../../simplify/linear.js';
import { lastAxisRole } from './last-axis-roles.js';

/** The change to make, with the label of the node that takes the factor; or why there is none. */
export type Fold = { readonly apply: Planned; readonly into: string } | { readonly reason: string };

/** @param value that nobody but those who expect the scaled one takes */
export async function planFold(value: Value, scale: Float64Array): Promise<Fold> {
  const { producer } = value;
  if (!producer || value.isOutput || isAnnotationPart(value)) {
    return { reason: `"${value.name}" is made by no node of the model, or is its output` };
  }
  const linear = linearBefore(value);
  if (!('reason' in linear)) {
    const { axis, rank } = linear.output;
    const why = whyNotChange(linear, 0);
    if (why) return { reason: why };
    if (axis === -1 || axis + 1 === rank) {
      const apply = await planAfter(linear, { scale, shift: new Float64Array(scale.length) });
      return apply ? { apply, into: linear.node.label } : outOfRange(linear.node.label);
    }
  }
  const role = lastAxisRole(producer);
  const place = `${producer.op} ${producer.label}`;
  if (!role) return { reason: `"${value.name}" is made by ${place}` };
  if (role.kind === 'affine') {
    const found = role.constants(producer);
    if ('reason' in found) return found;
    return await planConstants(value, found, scale);
  }
  if (role.kind === 'product' || role.kind === 'sum') {
    const at = producer.inputs.findIndex((input) => input?.constant);
    if (at < 0) return { reason: `${place} has no constant input` };
    const own = await planConstants(value, [at], scale);
    if ('reason' in own || role.kind === 'product') return own;
    const other = await planThrough(producer.input(1 - at), scale, value);
    if ('reason' in other) return other;
    return {
      into: other.into,
      apply() {
        own.apply();
        other.apply();
      },
    };
  }
  return await planThrough(producer.input(0), scale, value);
}

/** The factor goes on to an input of the producer of `to`, if that is the only one to take it. */
async function planThrough(from: Value, scale: Float64Array, to: Value): Promise<Fold> {
  if (!from.onlyUse) return { reason: `"${from.name}" is taken by others too` };
  if (knownDims(from)?.at(-1) !== scale.length || knownDims(to)?.at(-1) !== scale.length) {
    return { reason: `the last axis of "${from.name}" is another one, or unknown` };
  }
  return await planFold(from, scale);
}

/** The constant inputs of the producer of `value`, each along its last axis, times the factor. */
async function planConstants(
  value: Value,
  indices: readonly number[],
  scale: Float64Array,
): Promise<Fold> {
  const node = value.producer!;
  const rank = knownDims(value)?.length;
  const changes: { index: number; tensor: Tensor }[] = [];
  for (const index of indices) {
    if (!node.inputs[index]) continue;
    const tensor = node.constantInput(index);
    const vector = tensor && (await channelVector(tensor, { axis: -1, rank, count: scale.length }));
    if (!vector) return { reason: `input ${index} of ${node.op} ${node.label} is no vector` };
    const scaled = Tensor.of(
      tensor.dataType,
      [scale.length],
      vector.map((x, c) => x * scale[c]!),
    );
    if (!(await scaled.numbers()).every(Number.isFinite)) return outOfRange(node.label);
    changes.push({ index, tensor: scaled });
  }
  return {
    into: node.label,
    apply() {
      for (const { index, tensor } of changes) setConstantInput(node, index, tensor);
    },
  };
}

function outOfRange(label: string): Fold {
  return { reason: `a scaled constant of ${label} would leave the range of its type` };
}
