/**
 * Operators that a training step computes faster as matrix products, in the forward pass and in
 * both gradients, which follow from the products by themselves.
 */
import type { Emitter } from '../graph/emitter.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { elementCount } from '../onnx/data-type.js';
import { fixedDims } from './fixed-dims.js';
import type { Expansion } from './gradient/rule.js';
import { placesOf, windowOf } from './gradient/window.js';

/** What writes the node as products; undefined where that is not faster or a dim is not fixed. */
export type ProductForm = (node: Node) => Expansion | undefined;

/**
 * Places of x times places of y, by where the batch is, up to which products are faster: those of
 * [N, C, ...] compete with a slower convolution.
 */
const largestPlane = Object.freeze({ first: 6000, last: 2000 });
/** The fewest samples. */
const leastBatch = 16;

/**
 * A depthwise convolution of small maps: y = x T per channel, where T [H W, H' W'] holds every
 * weight in its places, which is a product of the weights with a constant of zeros and ones. With
 * the batch last it is y = Tᵀ x.
 *
 * ms of one thread, batch 32, convolution / products with all that they need: 128 channels of 6x6
 * 0.81 / 0.20 forward, 0.82 / 0.18 to x, 1.41 / 0.20 to the weights; 256 of 3x3 1.03 / 0.16,
 * 1.04 / 0.15, 1.40 / 0.17. At 64 channels of 12x12 forward is slower, 0.73 / 0.86. With the batch
 * last the convolution takes 0.28 forward for 128 channels of 6x6 and the products 0.23, for 256 of
 * 3x3 0.15 and 0.10; in the gradient of the weights products are twice as fast.
 *
 * @param batch whether the maps that it is given and gives are [N, C, ...] or [C, ..., N]
 */
export function asPlane(
  node: Node,
  batch: 'first' | 'last',
): ((e: Emitter, map: Value) => Value) | undefined {
  const [x, w, y] = [node.input(0), node.input(1), node.output()];
  const [from, weight, to] = [x, w, y].map(fixedDims);
  if (!from || !weight || !to || y.dataType !== 'float') return undefined;
  const [samples, channels, ...seen] = from as [number, number, ...number[]];
  const given = to.slice(2);
  const [inputs, outputs] = [elementCount(seen), elementCount(given)];
  const isDepthwise =
    channels > 1 && node.int('group', 1) === channels && weight[0] === channels && weight[1] === 1;
  const taps = elementCount(weight.slice(2));
  if (!isDepthwise || taps === 1 || samples < leastBatch) return undefined;
  if (inputs * outputs > largestPlane[batch]) return undefined;
  const isLast = batch === 'last';
  const places = placesOf(windowOf(node, x, weight.slice(2)), seen, given);
  const numbers = new Array<number>(taps * inputs * outputs).fill(0);
  for (const [tap, pairs] of places.entries()) {
    for (const pair of pairs) {
      const [p, q] = [Math.floor(pair / outputs), pair % outputs];
      numbers[tap * inputs * outputs + (isLast ? q * inputs + p : pair)] = 1;
    }
  }
  const bias = node.inputs[2];
  return (e, map) => {
    const spread = e.constant('float', [taps, inputs * outputs], numbers);
    const flat = e.op('MatMul', [e.reshape(w, [channels, taps]), spread]);
    const shifted = (sum: Value) => (bias ? e.add(sum, e.reshape(bias, [channels, 1, 1])) : sum);
    if (isLast) {
      const matrix = e.reshape(flat, [channels, outputs, inputs]);
      const image = e.reshape(map, [channels, inputs, samples]);
      return e.reshape(shifted(e.op('MatMul', [matrix, image])), [channels, ...given, samples]);
    }
    const image = e.transpose(e.reshape(map, [0, channels, inputs]), [1, 0, 2]);
    const result = e.op('MatMul', [image, e.reshape(flat, [channels, inputs, outputs])]);
    return e.reshape(e.transpose(shifted(result), [1, 0, 2]), [samples, channels, ...given]);
  };
}

const depthwise: ProductForm = (node) => {
  const plane = asPlane(node, 'first');
  return plane && ((e) => [plane(e, node.input(0))]);
};

const productForms: Readonly<Record<string, ProductForm>> = Object.freeze({ Conv: depthwise });

/** How a node is written as products, see ProductForm. */
export function productFormOf(node: Node): Expansion | undefined {
  return Object.hasOwn(productForms, node.op) ? productForms[node.op]!(node) : undefined;
}
