/**
 * Gradients of operators that move elements and compute nothing: the same elements moved back, and
 * summed where one was copied. Shapes come from the runtime where they are not fixed.
 */
import type { Value } from '../../graph/value.js';
import { type GradientTable, rule } from './rule.js';

/** Only the shape changed. */
const reshaped = rule((g, node) => [() => g.reshapeLike(g.grad(), node.input(0))]);

const identity = rule((g) => [() => g.grad()]);

const concat = rule((g, node) => {
  const axis = node.int('axis');
  const inputs = node.inputs.filter((input): input is Value => input !== undefined);
  const parts = () =>
    g.split(
      g.grad(),
      inputs.map((input) => g.dim(input, axis)),
      axis,
    );
  return inputs.map((_, at) => () => parts()[at]!);
});

const split = rule((g, node) => [
  () => {
    const parts = node.outputs.flatMap((output, at) => (output ? [g.grad(at)] : []));
    return g.concat(parts, node.int('axis', 0));
  },
]);

/** [r0, d0, r1, d1, ...]: the repetitions have axes of their own, over which is summed. */
const tile = rule((g, node) => [
  () => {
    const x = node.input(0);
    const rank = g.rankOf(x);
    const pairs = [node.input(1), g.shape(x)].map((list) => g.unsqueeze(list, [1]));
    const shape = g.reshape(g.concat(pairs, 1), [-1]);
    const repeats = Array.from({ length: rank }, (_, axis) => 2 * axis);
    return g.reduce('ReduceSum', g.op('Reshape', [g.grad(), shape]), repeats, false);
  },
]);

const transpose = rule((g, node) => [
  () => {
    const rank = g.rankOf(node.input(0));
    const reversed = Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
    const perm = node.ints('perm', reversed);
    return g.transpose(
      g.grad(),
      perm.map((_, axis) => perm.indexOf(axis)),
    );
  },
]);

/** CRD mode has no inverse operator: channels are [C, b, b], in DCR [b, b, C]. */
const depthToSpace = rule((g, node) => [
  () => {
    const size = node.int('blocksize');
    if (node.string('mode', 'DCR') === 'DCR') {
      return g.op('SpaceToDepth', [g.grad()], { blocksize: size });
    }
    const y = node.output();
    const blocks = g.op('SpaceToDepth', [g.grad()], { blocksize: size });
    const parts = g.reshape(blocks, [0, size * size, g.dim(y, 1), -1]);
    return g.reshapeLike(g.transpose(parts, [0, 2, 1, 3]), node.input(0));
  },
]);

export const shapeGradients: GradientTable = Object.freeze({
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Identity: identity,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Tile: tile,
  Expand: rule((g, node) => [() => g.sumTo(g.grad(), node.output(), node.input(0))]),
  DepthToSpace: depthToSpace,
  SpaceToDepth: rule((g, node) => [
    () => g.op('DepthToSpace', [g.grad()], { blocksize: node.int('blocksize') }),
  ]),
  Trilu: rule((g, node) => [
    () => g.op('Trilu', [g.grad(), node.inputs[1]], { upper: node.int('upper', 1) }),
  ]),
  ReverseSequence: rule((g, node) => [
    () =>
      g.op('ReverseSequence', [g.grad(), node.input(1)], {
        batch_axis: node.int('batch_axis', 1),
        time_axis: node.int('time_axis', 0),
      }),
  ]),
  // Between float types; a gradient that is wide already stays wide (see the driver).
  Cast: identity,
  CastLike: rule((g) => [() => g.grad()], [0]),
});
