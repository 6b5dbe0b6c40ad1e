/**
 * Upsample and Resize. Up to Resize 10 an output coordinate divided by the scale gives the input
 * coordinate (`asymmetric`), which "nearest" rounds down where the image grows. Where it shrinks,
 * the specification only has an example, and it rounds up, as ONNX Runtime does. From opset 11 on
 * an attribute says how to round, once for all axes: a node that grows along one axis and shrinks
 * along another, or whose scales are computed, becomes two nodes.
 */
import { Tensor } from '../../../onnx/tensor.js';
import { floatsAttribute } from '../../attribute.js';
import { addConstant } from '../../constant.js';
import type { Node } from '../../node.js';
import type { Value } from '../../value.js';
import { type Conversion, cannotConvert, dropIfUnused, insertBefore } from '../conversion.js';

/**
 * tf_half_pixel_for_nn is (x + 0.5) / scale, which is 0.5 more than half_pixel: rounded down it is
 * half_pixel rounded half up, rounded half down it is half_pixel rounded up.
 */
const tensorflowRounding: ReadonlyMap<string, string> = new Map([
  ['floor', 'round_prefer_ceil'],
  ['round_prefer_floor', 'ceil'],
]);

export const resizeChanges: readonly Conversion[] = [
  {
    op: 'Upsample',
    since: 7,
    reads: ['height_scale', 'width_scale'],
    convert(node) {
      const scales = [1, 1, node.float('height_scale'), node.float('width_scale')];
      node.setAttribute('scales', floatsAttribute(scales));
      node.removeAttribute('height_scale');
      node.removeAttribute('width_scale');
      return 'height_scale and width_scale became scales';
    },
  },
  {
    op: 'Upsample',
    since: 9,
    reads: ['scales'],
    convert(node) {
      const scales = node.floats('scales');
      const tensor = Tensor.of('float', [scales.length], scales);
      node.setInput(1, addConstant(node, `${node.label}_scales`, tensor));
      node.removeAttribute('scales');
      return 'scales became an input';
    },
  },
  {
    op: 'Upsample',
    since: 10,
    convert(node) {
      node.opType = 'Resize';
      // "bilinear" and "linear" were both in use.
      if (node.string('mode') === 'bilinear') node.setAttribute('mode', 'linear');
      return 'became Resize';
    },
  },
  { op: 'Resize', since: 11, reads: ['mode'], convert: resize11 },
  {
    op: 'Resize',
    since: 13,
    reads: ['coordinate_transformation_mode', 'mode', 'nearest_mode'],
    convert(node) {
      if (node.string('coordinate_transformation_mode', '') !== 'tf_half_pixel_for_nn') {
        return undefined;
      }
      const nearest = node.string('mode') === 'nearest' ? node.string('nearest_mode') : 'none';
      const rounding = tensorflowRounding.get(nearest);
      if (!rounding) {
        throw cannotConvert(node, `tf_half_pixel_for_nn with nearest_mode "${nearest}"`);
      }
      node.setAttribute('coordinate_transformation_mode', 'half_pixel');
      node.setAttribute('nearest_mode', rounding);
      return `tf_half_pixel_for_nn became half_pixel with ${rounding}`;
    },
  },
];

async function resize11(node: Node): Promise<string> {
  const scales = node.input(1);
  const noRoi = addConstant(node, `${node.label}_roi`, Tensor.of('float', [0], []));
  const setUp = (each: Node, value: Value) => {
    each.setInputs([each.input(0), noRoi, value]);
    each.setAttribute('coordinate_transformation_mode', 'asymmetric');
  };
  if (node.string('mode') !== 'nearest') {
    setUp(node, scales);
    return 'asymmetric coordinates are written out';
  }
  const numbers = await node.constantInput(1)?.numbers();
  if (numbers?.every((scale) => scale >= 1) || numbers?.every((scale) => scale <= 1)) {
    setUp(node, scales);
    node.setAttribute('nearest_mode', numbers.some((scale) => scale < 1) ? 'ceil' : 'floor');
    return 'asymmetric coordinates and their rounding are written out';
  }
  const [larger, smaller] = numbers ? constantHalves(node, numbers) : computedHalves(node, scales);
  const grow = node.graph!.addNode(
    {
      opType: 'Resize',
      name: node.graph!.freshNodeName(`${node.label}_grow`),
      inputs: [node.input(0)],
      attributes: { mode: 'nearest', nearest_mode: 'floor' },
    },
    { before: node },
  );
  setUp(grow, larger);
  node.setInput(0, grow.output());
  setUp(node, smaller);
  node.setAttribute('nearest_mode', 'ceil');
  dropIfUnused(scales);
  return 'became two nodes, one that grows and one that shrinks';
}

function constantHalves(node: Node, scales: readonly number[]): [Value, Value] {
  const half = (clamp: (scale: number) => number, word: string) =>
    addConstant(
      node,
      `${node.label}_${word}`,
      Tensor.of('float', [scales.length], scales.map(clamp)),
    );
  return [
    half((scale) => Math.max(scale, 1), 'grow_scales'),
    half((scale) => Math.min(scale, 1), 'shrink_scales'),
  ];
}

function computedHalves(node: Node, scales: Value): [Value, Value] {
  const one = addConstant(node, `${node.label}_one`, Tensor.of('float', [1], [1]));
  return [insertBefore(node, 'Max', [scales, one]), insertBefore(node, 'Min', [scales, one])];
}
