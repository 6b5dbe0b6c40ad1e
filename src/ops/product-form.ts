/**
 * Operators that a training step computes faster as matrix products, in the forward pass and in
 * both gradients, which follow from the products by themselves.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import type { Expansion } from './gradient/rule.js';
import { placesOf, windowOf } from './gradient/window.js';

/** What writes the node as products; undefined where that is not faster or a dim is not fixed. */
export type ProductForm = (node: Node) => Expansion | undefined;

/** Places of x times places of y, and the fewest samples, from which on products are faster. */
const largestPlane = 6000;
const leastBatch = 16;

/**
 * A depthwise convolution of small maps: y = x T per channel, where T [H W, H' W'] holds every
 * weight in its places, which is a product of the weights with a constant of zeros and ones.
 *
 * ms of one thread, batch 32, convolution / products with all that they need: 128 channels of 6x6
 * 0.81 / 0.20 forward, 0.82 / 0.18 to x, 1.41 / 0.20 to the weights; 256 of 3x3 1.03 / 0.16,
 * 1.04 / 0.15, 1.40 / 0.17. At 64 channels of 12x12 forward is slower, 0.73 / 0.86.
 */
const depthwise: ProductForm = (node) => {
  const [x, w, y] = [node.input(0), node.input(1), node.output()];
  const [from, weight, to] = [x, w, y].map(fixedDims);
  if (!from || !weight || !to || y.dataType !== 'float') return undefined;
  const [batch, channels, ...seen] = from as [number, number, ...number[]];
  const given = to.slice(2);
  const [inputs, outputs] = [product(seen), product(given)];
  const isDepthwise =
    channels > 1 && node.int('group', 1) === channels && weight[0] === channels && weight[1] === 1;
  const taps = product(weight.slice(2));
  if (!isDepthwise || taps === 1 || batch < leastBatch) return undefined;
  if (inputs * outputs > largestPlane) return undefined;
  const places = placesOf(windowOf(node, x, weight.slice(2)), seen, given);
  const numbers = new Array<number>(taps * inputs * outputs).fill(0);
  for (const [tap, pairs] of places.entries()) {
    for (const pair of pairs) numbers[tap * inputs * outputs + pair] = 1;
  }
  return (e) => {
    const spread = e.constant('float', [taps, inputs * outputs], numbers);
    const map = e.op('MatMul', [e.reshape(w, [channels, taps]), spread]);
    const image = e.transpose(e.reshape(x, [0, channels, inputs]), [1, 0, 2]);
    const result = e.op('MatMul', [image, e.reshape(map, [channels, inputs, outputs])]);
    const bias = node.inputs[2];
    const sum = bias ? e.add(result, e.reshape(bias, [channels, 1, 1])) : result;
    return [e.reshape(e.transpose(sum, [1, 0, 2]), [batch, channels, ...given])];
  };
};

const productForms: Readonly<Record<string, ProductForm>> = Object.freeze({ Conv: depthwise });

/** How a node is written as products, see ProductForm. */
export function productFormOf(node: Node): Expansion | undefined {
  return Object.hasOwn(productForms, node.op) ? productForms[node.op]!(node) : undefined;
}

function fixedDims({ dims }: Value): number[] | undefined {
  return dims?.every((dim) => typeof dim === 'number') ? (dims as number[]) : undefined;
}

function product(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total * number, 1);
}
