/**
 * The gradient of Resize, in every mode: resizing is linear in x and acts on each axis by itself,
 * so the gradient is a product with the transposed matrix of each axis. The matrix is what the
 * same Resize makes of the identity, hence right for every coordinate transformation.
 */
import type { Node } from '../../graph/node.js';
import type { Tensor } from '../../onnx/tensor.js';
import { type AxisMatrix, matricesAlong } from './linear-map.js';
import { type GradientEmitter, type GradientTable, NoGradient, rule } from './rule.js';
import { identityOf } from './slice.js';

const resize = rule((g, node) => [
  () => {
    if (node.string('coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize') {
      throw new NoGradient('coordinate_transformation_mode "tf_crop_and_resize"');
    }
    const x = node.input(0);
    const rank = g.rankOf(x);
    const axes = node.has('axes')
      ? node.ints('axes').map((axis) => (axis + rank) % rank)
      : Array.from({ length: rank }, (_, axis) => axis);
    const y = node.output();
    const scales = knownFloats(node.constantInput(2));
    const scaled = axes.flatMap((axis, at) => {
      const [from, to] = [x.dims?.[axis], y.dims?.[axis]];
      // Axes of equal length are left alone by every mode, fixed or not.
      if (from !== undefined && from === to && (!node.inputs[2] || typeof from === 'string')) {
        return [];
      }
      if (scales?.[at] === 1) return [];
      if (typeof from !== 'number' || typeof to !== 'number') {
        throw new NoGradient(`axis ${axis} of "${x.name}" or of its output is not fixed`);
      }
      return from === to && from === 1 ? [] : [{ axis, at, from, to }];
    });
    const matrices = scaled.map(({ axis, at, from, to }) => ({
      axis,
      matrix: axisMatrix(g, node, at, from, to),
    }));
    return matricesAlong(g, node, matrices satisfies AxisMatrix[]);
  },
]);

function knownFloats(tensor: Tensor | undefined): Float32Array | undefined {
  if (tensor?.dataType !== 'float' || tensor.content.kind !== 'bytes') return undefined;
  return new Float32Array(Uint8Array.from(tensor.content.bytes).buffer);
}

/** Resizes the rows of an identity matrix along one axis: [from, to]. */
function axisMatrix(g: GradientEmitter, node: Node, at: number, from: number, to: number) {
  const unit = g.constant('float', [1, from, from, 1], identityOf(from));
  const attributes = {
    mode: node.string('mode', 'nearest'),
    coordinate_transformation_mode: node.string('coordinate_transformation_mode', 'half_pixel'),
    nearest_mode: node.string('nearest_mode', 'round_prefer_floor'),
    exclude_outside: node.int('exclude_outside', 0),
    antialias: node.int('antialias', 0),
    cubic_coeff_a: { type: 'float', value: node.float('cubic_coeff_a', -0.75) } as const,
  };
  // A scale that was given counts as it is; the output's dim is its floor.
  const scales = node.inputs[2];
  const isStretched = node.string('keep_aspect_ratio_policy', 'stretch') === 'stretch';
  if (!node.inputs[3] && scales) {
    const own = g.op('Slice', [scales, g.ints(at), g.ints(at + 1)]);
    const one = g.constant('float', [1], [1]);
    const list = g.concat([one, one, own, one], 0);
    const resized = g.op('Resize', [unit, undefined, list], attributes);
    return g.cast(g.reshape(resized, [from, to]));
  }
  if (!isStretched) throw new NoGradient('keep_aspect_ratio_policy with sizes');
  const resized = g.op('Resize', [unit, undefined, undefined, g.ints(1, from, to, 1)], attributes);
  return g.cast(g.reshape(resized, [from, to]));
}

export const resizeGradients: GradientTable = Object.freeze({ Resize: resize });
