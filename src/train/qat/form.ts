/**
 * The form of a quantized model that can be trained: weights and biases as floats, which are rounded
 * in the graph, and every scale s as s0 exp(t) with a t to train, which keeps its sign and starts
 * at the very scale of the file. The integers of activations stay as they are. What the form
 * computes is what the file computes, but for the runtime's integer kernels, which round elsewhere.
 *
 * Rounding passes gradients inside the range (straight-through), and the scale gets the gradient
 * of LSQ: Esser et al., "Learned Step Size Quantization" (2020), arXiv:1902.08153, equation 3. A
 * scale by its logarithm after Jain et al., "Trained Quantization Thresholds" (2020),
 * arXiv:1903.08066: steps of Adam are then shares of the scale, whatever its size.
 */
import type { Engine } from '../../engine/engine.js';
import { inferShapes } from '../../engine/shapes.js';
import { cloneModel } from '../../graph/clone.js';
import { Emitter } from '../../graph/emitter.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import { raiseOpset } from '../../graph/opset/upgrade.js';
import type { Value } from '../../graph/value.js';
import { Tensor } from '../../onnx/tensor.js';
import { codeRange, dequantizeWeight } from '../../quantize/integers.js';
import { scaleDims } from '../../quantize/kernels.js';
import { type QuantizedSites, quantizedSites, type WeightSite } from './sites.js';

/** Names in the form of what replaces a constant of the file. */
export interface TrainableForm {
  readonly model: Model;
  readonly sites: QuantizedSites;
  /** Float weights and biases, by the name of their integers. */
  readonly floats: ReadonlyMap<string, string>;
  /** Logarithms of scale factors, by the name of the scale. */
  readonly factors: ReadonlyMap<string, string>;
  /** Of the weights, by the name of their integers: whether it starts with the float original. */
  readonly original: ReadonlySet<string>;
}

export interface FormOptions {
  /** Patterns of nodes whose parameters stay. */
  readonly freeze: readonly string[];
  /** Scales stay as they are. */
  readonly fixedScales: boolean;
  /** Float weights to start with, by the name of the stored integers; undefined for what they stand for. */
  readonly start: (site: WeightSite) => Promise<Float32Array | undefined>;
}

/** @param model simplified; it is not changed */
export async function trainableForm(
  model: Model,
  engine: Engine,
  { freeze, fixedScales, start }: FormOptions,
): Promise<TrainableForm> {
  const copy = cloneModel(model);
  await inferShapes(engine, copy);
  const sites = await quantizedSites(copy, freeze);
  // Rounding to 16 bits, as biases need it, came with opset 21.
  if (sites.biases.length > 0 || sites.weights.some((site) => roundingType(site) === 'int16')) {
    await raiseOpset(copy, 21, { engine });
  }
  const { graph } = copy;
  const floats = new Map<string, string>();
  const factors = new Map<string, string>();
  const original = new Set<string>();
  const first = graph.nodes.first;
  const e = new Emitter(graph, { scope: 'qat', position: first && { before: first } });
  const scales = new Map<string, Value>();
  const scaleOf = (name: string) => scales.get(name) ?? graph.value(name);
  const trainable = (name: string): Value => {
    const scale = graph.value(name);
    if (fixedScales) return scale;
    const { dims, size } = scale.initializer!;
    const zeros = Tensor.of('float', dims, new Float32Array(size));
    const factor = graph.addInitializer(`${name}/log_factor`, zeros);
    factors.set(name, factor.name);
    const scaled = e.mul(scale, e.op('Exp', [factor]));
    scales.set(name, scaled);
    return scaled;
  };
  for (const { scale, nodes } of sites.activations) {
    const value = trainable(scale);
    for (const node of nodes) node.setInput(1, value);
  }
  for (const site of sites.weights) {
    const { codes, layout, values, scales, zeroPoints } = site;
    const given = await start(site);
    if (given) original.add(codes);
    const content = given ?? dequantizeWeight({ values, scales, zeroPoints }, layout);
    const float = graph.addInitializer(floatName(codes), Tensor.of('float', layout.dims, content));
    floats.set(codes, float.name);
    const scale = site.ownScale ? trainable(site.scale) : scaleOf(site.scale);
    replace(site.nodes, fakeQuantized(e, float, scale, site));
  }
  for (const { codes, floats: content, nodes, scale, product } of sites.biases) {
    const tensor = Tensor.of('float', [content.length], content);
    const float = graph.addInitializer(floatName(codes), tensor);
    floats.set(codes, float.name);
    const step = product
      ? e.mul(scaleOf(product.activation), scaleOf(product.weight.scale))
      : scaleOf(scale);
    replace(nodes, e.mul(roundWide(e, e.div(float, step)), step));
  }
  await inferShapes(engine, copy);
  return { model: copy, sites, floats, factors, original };
}

/** The static scheme adds this to the name of what it stores. */
const storedSuffix = '_quantized';

/** The name that the float had before it was quantized, as far as the name tells. */
export function floatName(codes: string): string {
  return codes.endsWith(storedSuffix) ? codes.slice(0, -storedSuffix.length) : `${codes}/float`;
}

/** What takes the results of these nodes takes the value instead. */
function replace(nodes: readonly Node[], value: Value): void {
  for (const node of nodes) {
    node.output().replaceUses(value);
    node.graph!.removeNode(node);
  }
}

/** round(clip(w / s)) s, with the clip where the file's integers end. */
function fakeQuantized(e: Emitter, float: Value, scale: Value, site: WeightSite): Value {
  const { low, high, zeros } = boundsOf(site);
  const step = spread(e, scale, site);
  const ratio = e.div(float, step);
  const bound = (of: number) => {
    const bounds = zeros.map((zero) => of - zero);
    return spread(e, e.constant('float', scaleDims(site.layout), bounds), site);
  };
  const clipped = zeros.every((zero) => zero === zeros[0])
    ? e.op('Clip', [ratio, low - zeros[0]!, high - zeros[0]!])
    : e.op('Max', [e.op('Min', [ratio, bound(high)]), bound(low)]);
  return e.mul(round(e, clipped, roundingType(site)), step);
}

/** Rounds to integers of the type; the gradient passes. */
function round(e: Emitter, value: Value, type: 'int8' | 'int16'): Value {
  const [one, zero] = [e.scalar(1), e.scalar(0, type)];
  return e.op('DequantizeLinear', [e.op('QuantizeLinear', [value, one, zero]), one, zero]);
}

/**
 * Rounds what may have 28 bits, as biases in units of the products: first to multiples of 4096,
 * then what is left. The gradient of the second part is zero, that of the sum one.
 */
function roundWide(e: Emitter, value: Value): Value {
  const coarse = e.mul(round(e, e.div(value, 4096), 'int16'), 4096);
  return e.add(coarse, round(e, e.sub(value, coarse), 'int16'));
}

function boundsOf({ format, zeroPoints }: WeightSite) {
  return { ...codeRange(format), zeros: Array.from(zeroPoints) };
}

/** Integers that hold the steps from the zero point. */
function roundingType(site: WeightSite): 'int8' | 'int16' {
  const { low, high, zeros } = boundsOf(site);
  return zeros.every((zero) => low - zero >= -128 && high - zero <= 127) ? 'int8' : 'int16';
}

/** A number per channel or block, in a form that broadcasts to the weight. */
function spread(e: Emitter, value: Value, { layout }: WeightSite): Value {
  const { dims, axis, blockSize } = layout;
  if (axis === undefined) return e.reshape(value, []);
  if (!blockSize) return e.reshape(value, [-1, ...dims.slice(axis + 1).map(() => 1)]);
  const blocks = Array.from({ length: dims[axis]! }, (_, at) => Math.floor(at / blockSize));
  return e.op('Gather', [value, e.ints(...blocks)], { axis });
}
