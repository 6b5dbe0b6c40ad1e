/**
 * Writes a plan into the graph: QuantizeLinear and DequantizeLinear around values, integer weights
 * and biases behind DequantizeLinear. The runtime fuses these into integer kernels at load.
 */
import { PareError } from '../../errors.js';
import type { Graph } from '../../graph/graph.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { linearOf } from '../../simplify/linear.js';
import type { FoundWeight } from '../find-weight.js';
import {
  dequantizeWeight,
  type QuantizedWeight,
  quantizeOnGrid,
  type WeightFormat,
  type WeightLayout,
  weightGrid,
} from '../integers.js';
import { scaleDims } from '../kernels.js';
import { type ChannelMeans, meanShift } from './bias-correction.js';
import { biasCodes, biasScales, isSilent, makeRoomForBias } from './bias-scale.js';
import type { StaticOptions } from './options.js';
import type { Overrides } from './overrides.js';
import type { QuantizationParameters } from './parameters.js';
import type { ComputeNode, Plan, ScaleGroup } from './plan.js';
import { storageOf } from './weight-storage.js';

/** What was decided before anything is written. */
export interface StaticInput {
  readonly plan: Plan;
  readonly parameters: ReadonlyMap<ScaleGroup, QuantizationParameters>;
  /** By value name, for the bias correction; a value without means keeps its biases. */
  readonly means: ReadonlyMap<string, ChannelMeans>;
  readonly options: StaticOptions;
  readonly overrides: Overrides;
}

/** Takes a number per output channel off the bias of a node that was written. */
export type TakeOff = (shift: Float64Array) => void;

interface WeightCodes extends QuantizedWeight {
  readonly layout: WeightLayout;
  readonly format: WeightFormat;
}

export class StaticWriter {
  readonly #graph: Graph;
  readonly #plan: Plan;
  readonly #options: StaticOptions;
  readonly #overrides: Overrides;
  readonly #parameters: ReadonlyMap<ScaleGroup, QuantizationParameters>;
  readonly #means: ReadonlyMap<string, ChannelMeans>;
  readonly #shared = new Map<ScaleGroup, { scale: Value; zeroPoint: Value }>();
  /** What was stored of a weight so far, by its float value. */
  readonly #stored = new Map<Value, (WeightCodes & { readonly inputs: Value[] })[]>();
  /** By the dequantized value that nodes take now: its scale, and the value it stands for. */
  readonly #dequantized = new Map<Value, { scale: number; name: string }>();

  readonly #biases = new Map<Node, TakeOff>();

  constructor(model: Model, input: StaticInput) {
    this.#graph = model.graph;
    this.#plan = input.plan;
    this.#parameters = input.parameters;
    this.#means = input.means;
    this.#options = input.options;
    this.#overrides = input.overrides;
  }

  /** Returns the biases that can still be corrected, by node. */
  async write(): Promise<ReadonlyMap<Node, TakeOff>> {
    // Once a Q stands behind the node, its Add is not recognized any more.
    for (const { node, role } of this.#plan.compute) {
      if (role.bias === 'behind') await this.#findBiasBehind(node);
    }
    for (const [value, group] of this.#plan.groups) this.#quantizeValue(value, group);
    for (const compute of this.#plan.compute) await this.#quantizeWeights(compute);
    return this.#biases;
  }

  /** A node without an Add keeps its mean error: one more Add would cost more than it gains. */
  async #findBiasBehind(node: Node): Promise<void> {
    const linear = linearOf(node);
    if (!linear || 'reason' in linear || linear.tail === node) return;
    let bias = await linear.bias.read();
    if (!bias) return;
    this.#biases.set(node, (shift) => {
      bias = bias!.map((value, channel) => value - shift[channel]!);
      linear.bias.write(Tensor.of('float', [bias.length], bias));
    });
  }

  /** Q and DQ behind the value; whoever computes in integers, or takes their result, takes the DQ. */
  #quantizeValue(value: Value, group: ScaleGroup): void {
    const graph = this.#graph;
    const parameters = this.#parameters.get(group)!;
    const { name } = value;
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
    this.#dequantized.set(result, { scale: parameters.scale, name });
  }

  /** Made by an integer node, or by a clip that one has absorbed. */
  #isIntegerResult({ producer }: Value): boolean {
    return this.#plan.nodes.has(producer!) || this.#plan.absorbed.has(producer!);
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

  async #quantizeWeights(compute: ComputeNode): Promise<void> {
    const { node, role, weight, axis } = compute;
    const { layout, format, integerBias } = storageOf(
      compute,
      this.#options,
      this.#overrides.ofWeight(weight),
    );
    const factors = role.factors(node);
    const floats = scaled(await weight.read(), factors.weight);
    const activation = this.#dequantized.get(node.input(0))!;
    const grid = weightGrid(floats, layout, format, weight.value.name);
    const given = await node.constantInput(2)?.floats();
    let bias = given && scaled(given, factors.bias);
    if (bias && integerBias) {
      makeRoomForBias(grid.scales, bias, activation.scale, isSilent(floats, layout));
    }
    const codes = { ...grid, values: quantizeOnGrid(floats, layout, format, grid), layout, format };
    const means = this.#means.get(activation.name);
    if (means) {
      const weights = { float: floats, quantized: dequantizeWeight(codes, layout) };
      const shift = meanShift(weights, weight.dims, axis, role.groups(node), means);
      if (role.bias === 'behind') this.#biases.get(node)?.(shift);
      else bias = Float32Array.from(shift, (shifted, channel) => (bias?.[channel] ?? 0) - shifted);
    }
    node.setInput(1, this.#dequantize(node, this.#storeWeight(weight, codes), layout));
    if (bias && integerBias) {
      const parameters = { scales: grid.scales, perChannel: layout.axis !== undefined };
      this.#quantizeBias(node, bias, parameters, activation.scale);
    } else if (bias && bias !== given) this.#storeBias(node, bias);
    for (const attribute of role.factorAttributes) node.removeAttribute(attribute);
  }

  /** The initializers of a quantized weight; nodes that share a weight share them. */
  #storeWeight({ value, dims }: FoundWeight, codes: WeightCodes): Value[] {
    const known = this.#stored.get(value) ?? [];
    this.#stored.set(value, known);
    const { layout, format, values, scales, zeroPoints } = codes;
    const same = known.find(
      (each) =>
        each.layout.axis === layout.axis &&
        isEqual(each.scales, scales) &&
        isEqual(each.zeroPoints, zeroPoints) &&
        isEqual(each.values, values),
    );
    if (same) return same.inputs;
    const graph = this.#graph;
    const { name } = value;
    const { dataType } = format;
    const dimsOfScales = scaleDims(layout);
    const inputs = [
      graph.addInitializer(`${name}_quantized`, Tensor.of(dataType, dims, values)),
      graph.addInitializer(`${name}_scale`, Tensor.of('float', dimsOfScales, scales)),
      graph.addInitializer(`${name}_zero_point`, Tensor.of(dataType, dimsOfScales, zeroPoints)),
    ];
    known.push({ ...codes, inputs });
    return inputs;
  }

  /** Of a node that computes in float: what changed in its bias stays float. */
  #storeBias(node: Node, bias: Float32Array): void {
    const name = `${node.inputs[2]?.name ?? `${node.label}_bias`}_corrected`;
    let current = bias;
    const content = () => Tensor.of('float', [current.length], current);
    const stored = this.#graph.addInitializer(name, content());
    node.setInput(2, stored);
    this.#biases.set(node, (shift) => {
      current = current.map((value, channel) => value - shift[channel]!);
      stored.initializer = content();
    });
  }

  /** int32 with the scale of the accumulator, so that the kernel adds it without a conversion. */
  #quantizeBias(
    node: Node,
    bias: Float32Array,
    { scales: weightScales, perChannel }: { scales: Float32Array; perChannel: boolean },
    activationScale: number,
  ): void {
    const graph = this.#graph;
    const name = node.inputs[2]?.name ?? `${node.label}_bias`;
    const bad = bias.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new PareError('invalid-model', `quantize: the bias of channel ${bad} is ${bias[bad]}`, {
        node: node.label,
        tensor: name,
        hint: 'repair or retrain the model, or exclude the node',
      });
    }
    const scales = biasScales(activationScale, weightScales);
    const codes = () => biasCodes(bias, scales);
    const dims = weightScales.length === 1 && !perChannel ? [] : [scales.length];
    const stored = graph.addInitializer(
      `${name}_quantized`,
      Tensor.of('int32', [bias.length], codes()),
    );
    this.#biases.set(node, (shift) => {
      bias = bias.map((value, channel) => value - shift[channel]!);
      stored.initializer = Tensor.of('int32', [bias.length], codes());
    });
    const scale = graph.addInitializer(`${name}_scale`, Tensor.of('float', dims, scales));
    const axis = dims.length === 0 ? undefined : 0;
    node.setInput(2, this.#dequantize(node, [stored, scale], { axis }));
  }

  #dequantize(
    node: Node,
    inputs: readonly Value[],
    { axis, blockSize }: Pick<WeightLayout, 'axis' | 'blockSize'>,
  ): Value {
    const graph = this.#graph;
    const stored = inputs[0]!;
    const result = graph
      .addNode(
        {
          opType: 'DequantizeLinear',
          name: graph.freshNodeName(`${stored.name}_DequantizeLinear`),
          inputs,
          attributes: { axis, block_size: blockSize },
        },
        { before: node },
      )
      .output();
    result.type = tensorType('float', stored.dims);
    return result;
  }
}

function scaled(values: Float32Array, factor: number): Float32Array {
  return factor === 1 ? values : values.map((value) => value * factor);
}

function isEqual(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
