/**
 * Writes a plan into the graph: QuantizeLinear and DequantizeLinear around values, integer weights
 * and biases behind DequantizeLinear. The runtime fuses these into integer kernels at load.
 */
import type { Graph } from '../../graph/graph.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import {
  type ChannelLayout,
  quantizeWithScales,
  roundHalfEven,
  symmetricScales,
} from '../integers.js';
import type { StaticOptions } from './options.js';
import type { QuantizationParameters } from './parameters.js';
import type { ComputeNode, Plan, ScaleGroup } from './plan.js';

export class StaticWriter {
  readonly #graph: Graph;
  readonly #plan: Plan;
  readonly #options: StaticOptions;
  readonly #parameters: ReadonlyMap<ScaleGroup, QuantizationParameters>;
  readonly #shared = new Map<ScaleGroup, { scale: Value; zeroPoint: Value }>();
  /** Scale of the activation by the dequantized value that nodes take now. */
  readonly #scaleOf = new Map<Value, number>();

  constructor(
    model: Model,
    plan: Plan,
    parameters: ReadonlyMap<ScaleGroup, QuantizationParameters>,
    options: StaticOptions,
  ) {
    this.#graph = model.graph;
    this.#plan = plan;
    this.#parameters = parameters;
    this.#options = options;
  }

  async write(): Promise<void> {
    for (const [value, group] of this.#plan.groups) this.#quantizeValue(value, group);
    for (const compute of this.#plan.compute) await this.#quantizeWeights(compute);
  }

  /** Q and DQ behind the value; whoever computes in integers, or takes their result, takes the DQ. */
  #quantizeValue(value: Value, group: ScaleGroup): void {
    const graph = this.#graph;
    const parameters = this.#parameters.get(group)!;
    const { scale, zeroPoint } = this.#shareParameters(group, parameters);
    const { producer } = value;
    const fromIntegers = producer !== undefined && this.#isIntegerResult(value);
    const users = value.uses.filter(({ node }) => fromIntegers || this.#plan.nodes.has(node));
    const first = graph.nodes.first!;
    const quantize = graph.addNode(
      {
        opType: 'QuantizeLinear',
        name: graph.freshNodeName(`${value.name}_QuantizeLinear`),
        inputs: [value, scale, zeroPoint],
      },
      producer ? { after: producer } : { before: first },
    );
    const dequantize = graph.addNode(
      {
        opType: 'DequantizeLinear',
        name: graph.freshNodeName(`${value.name}_DequantizeLinear`),
        inputs: [quantize.output(), scale, zeroPoint],
      },
      { after: quantize },
    );
    const result = dequantize.output();
    result.type = tensorType('float', value.dims);
    quantize.output().type = tensorType(parameters.dataType, value.dims);
    for (const { node, index } of users) node.setInput(index, result);
    if (fromIntegers && value.isOutput) graph.replaceOutput(value, result);
    this.#scaleOf.set(result, parameters.scale);
  }

  #isIntegerResult(value: Value): boolean {
    const producer = value.producer!;
    if (this.#plan.nodes.has(producer)) return true;
    // An absorbed clip: its input comes out of an integer node and has no Q of its own.
    const before = producer.inputs[0]?.producer;
    return before !== undefined && this.#plan.nodes.has(before);
  }

  #shareParameters(group: ScaleGroup, { dataType, scale, zeroPoint }: QuantizationParameters) {
    let shared = this.#shared.get(group);
    if (!shared) {
      const base = group.sources[0]?.name ?? group.values[0]!.name;
      shared = {
        scale: this.#graph.addInitializer(`${base}_scale`, Tensor.scalar('float', scale)),
        // Explicit even where it is zero: several fusions ask for the input.
        zeroPoint: this.#graph.addInitializer(
          `${base}_zero_point`,
          Tensor.scalar(dataType, zeroPoint),
        ),
      };
      this.#shared.set(group, shared);
    }
    return shared;
  }

  async #quantizeWeights({ node, weight, axis }: ComputeNode): Promise<void> {
    const { perChannel, reduceRange } = this.#options;
    const layout: ChannelLayout = { dims: weight.dims, axis: perChannel ? axis : undefined };
    const alpha = node.op === 'Gemm' ? node.float('alpha', 1) : 1;
    let floats = await weight.read();
    if (alpha !== 1) floats = floats.map((value) => value * alpha);
    const activationScale = this.#scaleOf.get(node.input(0))!;
    const limit = reduceRange ? 63 : 127;
    const scales = symmetricScales(floats, layout, limit);
    const bias = await this.#readBias(node);
    if (bias) makeRoomForBias(scales, bias, activationScale);
    const values = quantizeWithScales(floats, layout, scales, limit);
    const { name } = weight.value;
    const graph = this.#graph;
    const perChannelDims = perChannel ? [scales.length] : [];
    const scale = graph.addInitializer(`${name}_scale`, Tensor.of('float', perChannelDims, scales));
    const zeroPoint = graph.addInitializer(
      `${name}_zero_point`,
      Tensor.of('int8', perChannelDims, new Int8Array(scales.length)),
    );
    const stored = graph.addInitializer(
      `${name}_quantized`,
      Tensor.of('int8', weight.dims, values),
    );
    node.setInput(
      1,
      this.#dequantize(node, [stored, scale, zeroPoint], perChannel ? axis : undefined),
    );
    if (bias) this.#quantizeBias(node, bias, scales, activationScale);
    if (alpha !== 1) node.removeAttribute('alpha');
    if (node.has('beta')) node.removeAttribute('beta');
  }

  /** The bias times beta, one number per output channel; undefined without one. */
  async #readBias(node: Node): Promise<Float32Array | undefined> {
    const tensor = node.constantInput(2);
    if (!tensor) return undefined;
    const beta = node.op === 'Gemm' ? node.float('beta', 1) : 1;
    const floats = await tensor.floats();
    return beta === 1 ? floats : floats.map((value) => value * beta);
  }

  /** int32 with the scale of the accumulator, so that the kernel adds it without a conversion. */
  #quantizeBias(
    node: Node,
    bias: Float32Array,
    weightScales: Float32Array,
    activationScale: number,
  ): void {
    const graph = this.#graph;
    const name = node.input(2).name;
    const scaleAt = (channel: number) =>
      Math.fround(activationScale * weightScales[weightScales.length === 1 ? 0 : channel]!);
    const values = Int32Array.from(bias, (value, channel) =>
      roundHalfEven(value / scaleAt(channel)),
    );
    const scales = Float32Array.from({ length: weightScales.length }, (_, channel) =>
      scaleAt(channel),
    );
    const dims = weightScales.length === 1 && !this.#options.perChannel ? [] : [scales.length];
    const stored = graph.addInitializer(
      `${name}_quantized`,
      Tensor.of('int32', [bias.length], values),
    );
    const scale = graph.addInitializer(`${name}_scale`, Tensor.of('float', dims, scales));
    node.setInput(2, this.#dequantize(node, [stored, scale], dims.length === 0 ? undefined : 0));
  }

  #dequantize(node: Node, inputs: readonly Value[], axis: number | undefined): Value {
    const graph = this.#graph;
    return graph
      .addNode(
        {
          opType: 'DequantizeLinear',
          name: graph.freshNodeName(`${inputs[0]!.name}_DequantizeLinear`),
          inputs,
          attributes: { axis },
        },
        { before: node },
      )
      .output();
  }
}

/** The largest int32. */
const largestInt32 = 2 ** 31 - 1;

/**
 * A channel with tiny weights and a large bias would need a bias beyond int32: its weight scale
 * grows until the bias fits. The weights of such a channel hardly matter beside its bias.
 */
function makeRoomForBias(scales: Float32Array, bias: Float32Array, activationScale: number): void {
  for (let channel = 0; channel < bias.length; channel++) {
    const at = scales.length === 1 ? 0 : channel;
    const needed = (Math.abs(bias[channel]!) * 1.0001) / (activationScale * largestInt32);
    if (scales[at]! < needed) scales[at] = needed;
  }
}
