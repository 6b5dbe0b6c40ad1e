/**
 * How long kernels take in float and in integers, roughly: enough to tell which side is faster.
 * Formulas in the sizes of the node, with factors per target. No timing happens here.
 *
 * The factors were fitted to profiles of single nodes, one thread, least of many runs
 * (onnxruntime-node 1.30 on an AMD EPYC with AVX512-VNNI: 80 convolutions; onnxruntime-web 1.30 in
 * Node: 11). Most are met within a third. On other CPUs both sides change; what lasts is why one
 * loses: depthwise kernels have little to sum and must look up the place of every tap.
 */
import type { Target } from '../engine/engine.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import type { ConvChannels } from './kernel-shapes.js';
import { isDepthwise, missingInputs, readsInPlace } from './kernel-shapes.js';

/** Nanoseconds on either side. */
export interface NodeTimes {
  readonly float: number;
  readonly integer: number;
}

/** Nanoseconds each, unless said otherwise. */
interface Factors {
  /** Per node. */
  readonly node: NodeTimes;
  /** Per multiply-accumulate of a dense sum, when it is large. */
  readonly mac: NodeTimes;
  /** Per weight of a matrix product that is bound by reading it. */
  readonly weight: NodeTimes;
  readonly depthwiseMac: NodeTimes;
  /** Per output position of a convolution. */
  readonly position: NodeTimes;
  /** Per output element of a convolution. */
  readonly output: NodeTimes;
  /**
   * Per tap of the window and output position, in integers, where the window is read in place by a
   * table of addresses: one that is at home in the first cache, in the second, in none.
   */
  readonly tapInPlace: readonly [near: number, far: number, beyond: number];
  /** The same, where it is copied. */
  readonly tapCopied: number;
  /** The same, in float, dense only. */
  readonly floatTap: number;
  /** Float convolutions compute outputs in blocks of this many channels. */
  readonly floatBlock: number;
  /** Per byte that float moves beyond what a core's cache holds. */
  readonly byteBeyondCache: number;
  /** Per tap and output of a pool. */
  readonly poolTap: NodeTimes;
  /** Per element of other nodes. */
  readonly element: NodeTimes;
  /** Per element of a value that is quantized or dequantized, layouts included. */
  readonly crossing: number;
  /** More of it where the value comes out of a convolution, or goes into one. */
  readonly reorder: number;
}

const cacheBytes = 2 ** 20;

const factors: Readonly<Partial<Record<Target, Factors>>> = Object.freeze({
  node: {
    node: { float: 1200, integer: 1400 },
    mac: { float: 0.0103, integer: 0.0026 },
    weight: { float: 0.06, integer: 0.02 },
    depthwiseMac: { float: 0.033, integer: 0.032 },
    position: { float: 0, integer: 4 },
    output: { float: 0, integer: 0 },
    tapInPlace: [0.5, 1, 1.8],
    tapCopied: 4.5,
    floatTap: 0.7,
    floatBlock: 16,
    byteBeyondCache: 0.04,
    poolTap: { float: 0.05, integer: 0.035 },
    element: { float: 0.1, integer: 0.1 },
    crossing: 0.28,
    reorder: 0.15,
  },
  wasm: {
    node: { float: 1000, integer: 2000 },
    mac: { float: 0.077, integer: 0.032 },
    weight: { float: 0.077, integer: 0.15 },
    depthwiseMac: { float: 0.32, integer: 1 },
    position: { float: 0, integer: 0 },
    output: { float: 0, integer: 4 },
    tapInPlace: [0, 0, 0],
    tapCopied: 0,
    floatTap: 0,
    floatBlock: 1,
    byteBeyondCache: 0,
    poolTap: { float: 1, integer: 1 },
    element: { float: 0.5, integer: 4 },
    crossing: 2.5,
    reorder: 0,
  },
});

/** Undefined for targets that were never measured. */
export function kernelTimes(target: Target): KernelTimes | undefined {
  const found = factors[target];
  return found && new KernelTimes(target, found);
}

export class KernelTimes {
  readonly #target: Target;
  readonly #factors: Factors;

  constructor(target: Target, found: Factors) {
    this.#target = target;
    this.#factors = found;
  }

  /** Times of a value's way into integers or out of them; undefined where its size is unknown. */
  crossing(value: Value, besideConvolution: boolean): number | undefined {
    const elements = sizeOf(value);
    if (elements === undefined) return undefined;
    const { crossing, reorder, node } = this.#factors;
    const perElement = crossing + (besideConvolution ? reorder : 0);
    return perElement * elements + node.float;
  }

  /** A convolution; undefined where its shape is unknown. */
  convolution(node: Node, weight: readonly number[], channels: ConvChannels) {
    const outputs = sizeOf(node.output());
    const inputs = sizeOf(node.input(0));
    if (outputs === undefined || inputs === undefined) return undefined;
    const found = this.#factors;
    const positions = outputs / channels.outputs;
    const taps = weight.slice(2).reduce((product, dim) => product * dim, 1);
    const missing = missingInputs(channels, this.#target);
    const padded = { ...channels, inputs: channels.inputs + missing };
    const inPlace = readsInPlace(padded, this.#target);
    const depthwise = isDepthwise(channels);
    const tap = inPlace ? this.#lookUp(taps * positions) : found.tapCopied;
    const rate = depthwise ? found.depthwiseMac : found.mac;
    const perGroup = (count: number) => (taps * positions * count) / channels.groups;
    const integer =
      rate.integer * perGroup(padded.inputs) * channels.outputs +
      (inPlace && taps === 1 ? 0 : tap * taps * positions * (depthwise ? 1 : channels.groups)) +
      (missing > 0 ? (inputs / channels.inputs) * padded.inputs * 0.1 + found.node.integer : 0);
    const block = found.floatBlock;
    const computed = Math.ceil(channels.outputs / block) * block;
    const float =
      rate.float * perGroup(channels.inputs) * computed +
      (depthwise ? 0 : found.floatTap * taps * positions) +
      found.byteBeyondCache * Math.max(0, 4 * (inputs + outputs) - cacheBytes);
    const each = (side: keyof NodeTimes) =>
      found.node[side] + found.position[side] * positions + found.output[side] * outputs;
    return { float: float + each('float'), integer: integer + each('integer') };
  }

  #lookUp(addresses: number): number {
    const [near, far, beyond] = this.#factors.tapInPlace;
    const bytes = 8 * addresses;
    return bytes <= 2 ** 14 ? near : bytes <= 2 ** 18 ? far : beyond;
  }

  /** A product with a constant matrix. */
  product(node: Node, weight: readonly number[], outputAxis: number): NodeTimes | undefined {
    const outputs = sizeOf(node.output());
    if (outputs === undefined) return undefined;
    const weights = weight.reduce((product, dim) => product * dim, 1);
    const rows = outputs / weight[outputAxis]!;
    const time = (side: keyof NodeTimes) =>
      this.#factors.node[side] +
      Math.max(
        this.#factors.mac[side] * rows * weights,
        Math.min(rows, 1) * this.#factors.weight[side] * weights,
      );
    return { float: time('float'), integer: time('integer') };
  }

  /** A pool with a window, or anything that goes once over its elements. */
  elementwise(node: Node): NodeTimes | undefined {
    const outputs = sizeOf(node.output());
    const inputs = node.inputs[0] && sizeOf(node.inputs[0]);
    if (outputs === undefined || inputs === undefined) return undefined;
    const window = node.ints('kernel_shape', []).reduce((product, dim) => product * dim, 1);
    const found = this.#factors;
    const bytes = 4 * (inputs + outputs);
    const time = (side: keyof NodeTimes) =>
      found.node[side] +
      (window > 1 ? found.poolTap[side] * window * outputs : found.element[side] * inputs);
    const beyond = found.byteBeyondCache * Math.max(0, bytes - cacheBytes);
    return { float: time('float') + beyond, integer: time('integer') };
  }
}

/** Elements in one run; a batch of unknown length is taken to be one sample. */
function sizeOf({ dims }: Value): number | undefined {
  let size = 1;
  for (const [axis, dim] of dims?.entries() ?? []) {
    if (typeof dim === 'number') size *= dim;
    else if (axis > 0) return undefined;
  }
  return dims && size;
}
