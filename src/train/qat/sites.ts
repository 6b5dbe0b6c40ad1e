/**
 * What there is to train in a model of QuantizeLinear and DequantizeLinear: weights and biases that
 * are stored as integers, and the scales of weights and of activations. Finds and reads; changes
 * nothing, and says by name what has to stay as it is.
 */
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { mainUse } from '../../measure/size.js';
import { dataTypes } from '../../onnx/data-type.js';
import type { Tensor } from '../../onnx/tensor.js';
import { parameterRoles } from '../../ops/input-roles.js';
import { integerRoles } from '../../ops/integer-roles.js';
import { linearQuantization } from '../../ops/linear-quantization.js';
import { nodeMatcher } from '../../pattern.js';
import type { WeightFormat, WeightLayout } from '../../quantize/integers.js';
import type { QuantizedArray } from '../../quantize/kernels.js';
import type { IntegerWeightType } from '../../quantize/names.js';
import { integerWeightTypes } from '../../quantize/names.js';

/** A constant behind DequantizeLinear; names are those of its initializers. */
export interface WeightSite {
  readonly codes: string;
  readonly scale: string;
  readonly layout: WeightLayout;
  readonly format: WeightFormat;
  readonly values: QuantizedArray;
  readonly scales: Float32Array;
  /** As many as scales. */
  readonly zeroPoints: QuantizedArray;
  /** The DequantizeLinear nodes of it. */
  readonly nodes: readonly Node[];
  /** Nobody else has this scale. */
  readonly ownScale: boolean;
}

/** An int32 bias behind DequantizeLinear. */
export interface BiasSite {
  readonly codes: string;
  readonly scale: string;
  readonly floats: Float32Array;
  readonly nodes: readonly Node[];
  /** What its scale is the product of: the scale of the activation, and the weight. */
  readonly product: { readonly activation: string; readonly weight: WeightSite } | undefined;
}

/** Values that are rounded and restored under one scale, which may have several such places. */
export interface ActivationSite {
  readonly scale: string;
  /** Number of steps above zero. */
  readonly steps: number;
  /** Elements of the largest value of a sample, as far as its dims are known. */
  readonly elements: number;
  readonly nodes: readonly Node[];
}

export interface QuantizedSites {
  readonly weights: readonly WeightSite[];
  readonly biases: readonly BiasSite[];
  readonly activations: readonly ActivationSite[];
  /** Quantized parameters that stay as they are, with the reason. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * @param model with the types of its values (see inferShapes), without Constant nodes
 * @param freeze patterns of nodes whose parameters stay
 */
export async function quantizedSites(
  model: Model,
  freeze: readonly string[],
): Promise<QuantizedSites> {
  const isFrozen = nodeMatcher(freeze);
  const weights: WeightSite[] = [];
  const biases: BiasSite[] = [];
  const left: { name: string; reason: string }[] = [];
  const stored = storedIntegers(model);
  for (const [value, nodes] of stored) {
    const reason = reasonToStay(value, nodes, isFrozen);
    if (reason) left.push({ name: value.name, reason });
    else if (value.dataType !== 'int32') weights.push(await weightSite(value, nodes));
  }
  const gone = new Set(left.map(({ name }) => name));
  for (const [value, nodes] of stored) {
    if (value.dataType !== 'int32' || gone.has(value.name)) continue;
    biases.push(await biasSite(value, nodes, weights));
  }
  return { weights, biases, activations: activationSites(model), left };
}

/** Constants of parameters with the nodes that restore them. */
function storedIntegers({ graph }: Model): Map<Value, Node[]> {
  const found = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    if (linearQuantization[node.op] !== 'dequantize') continue;
    const value = node.input(0);
    if (value.graph !== graph || !value.isConstant || !value.initializer) continue;
    if (!parameterRoles.has(mainUse(value, value.initializer).role)) continue;
    found.set(value, [...(found.get(value) ?? []), node]);
  }
  return found;
}

function reasonToStay(
  value: Value,
  nodes: readonly Node[],
  isFrozen: (node: Node) => boolean,
): string | undefined {
  const [first] = nodes;
  const type = value.dataType!;
  if (!(type === 'int32' || isWeightType(type))) return `is ${type}`;
  if (value.uses.length !== nodes.length || value.isOutput) return 'is used as integers too';
  const scale = first!.input(1);
  if (!scale.isConstant) return 'has a scale that is computed';
  const zero = first!.inputs[2];
  if (zero && !zero.isConstant) return 'has a zero point that is computed';
  const isSame = nodes.every(
    (node) =>
      node.input(1) === scale &&
      node.inputs[2] === zero &&
      node.int('axis', 1) === first!.int('axis', 1) &&
      node.int('block_size', 0) === first!.int('block_size', 0),
  );
  if (!isSame) return 'is restored in several ways';
  const users = nodes.flatMap((node) => [...node.output().users]);
  if (users.length > 0 && users.every(isFrozen)) return 'is frozen by the caller';
  return undefined;
}

function isWeightType(type: string): type is IntegerWeightType {
  return (integerWeightTypes as readonly string[]).includes(type);
}

async function weightSite(value: Value, nodes: readonly Node[]): Promise<WeightSite> {
  const [first] = nodes as [Node];
  const tensor = value.initializer!;
  const scale = first.input(1);
  const dataType = tensor.dataType as IntegerWeightType;
  const values = (await tensor.array()) as QuantizedArray;
  const scales = await scale.initializer!.floats();
  const zero = first.inputs[2]?.initializer;
  const zeroPoints = new dataTypes[dataType].array!(scales.length) as QuantizedArray;
  if (zero) zeroPoints.set((await zero.array()) as QuantizedArray);
  return {
    codes: value.name,
    scale: scale.name,
    layout: layoutOf(first, tensor, scale.initializer!),
    format: formatOf(dataType, values, zeroPoints),
    values,
    scales,
    zeroPoints,
    nodes,
    ownScale: scale.uses.length === nodes.length,
  };
}

function layoutOf(node: Node, { dims }: Tensor, scale: Tensor): WeightLayout {
  const blockSize = node.int('block_size', 0) || undefined;
  if (scale.size === 1 && !blockSize) return { dims, axis: undefined };
  const axis = (node.int('axis', 1) + dims.length) % dims.length;
  return { dims, axis, blockSize };
}

/** The integers that the file was written with: fewer than the type has where it uses fewer. */
function formatOf(
  dataType: IntegerWeightType,
  values: QuantizedArray,
  zeroPoints: QuantizedArray,
): WeightFormat {
  const { bits, kind } = dataTypes[dataType];
  const middle = kind === 'signed' ? 0 : 2 ** (bits - 1);
  let reach = 0;
  for (const value of values) reach = Math.max(reach, Math.abs(value - middle));
  const isCentred = zeroPoints.every((zero) => zero === middle);
  // 8 and 16 bits: symmetric formats have no lowest integer.
  const symmetric = isCentred && (bits < 8 || reach < 2 ** (bits - 1));
  return { dataType, symmetric, reduceRange: bits === 8 && symmetric && reach < 2 ** (bits - 2) };
}

async function biasSite(
  value: Value,
  nodes: readonly Node[],
  weights: readonly WeightSite[],
): Promise<BiasSite> {
  const [first] = nodes as [Node];
  const scale = first.input(1);
  const scales = await scale.initializer!.floats();
  const codes = await value.initializer!.floats();
  return {
    codes: value.name,
    scale: scale.name,
    floats: codes.map((code, channel) => code * scales[scales.length === 1 ? 0 : channel]!),
    nodes,
    product: productOf(first.output(), weights),
  };
}

/** Of a node that sums products: the scales of its activation and of its weight. */
function productOf(bias: Value, weights: readonly WeightSite[]): BiasSite['product'] {
  const [user] = bias.users;
  if (bias.users.size !== 1 || integerRoles[user!.op]?.kind !== 'compute') return undefined;
  const [x, w] = [user!.input(0), user!.input(1)].map(({ producer }) =>
    producer && linearQuantization[producer.op] === 'dequantize' ? producer : undefined,
  );
  const weight = w && weights.find(({ codes }) => codes === w.input(0).name);
  const scale = x?.input(1);
  return weight && scale?.isConstant ? { activation: scale.name, weight } : undefined;
}

/** Scales that only pairs of Q and DQ have, each DQ right behind its Q. */
function activationSites({ graph }: Model): ActivationSite[] {
  const byScale = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    if (!Object.hasOwn(linearQuantization, node.op)) continue;
    const scale = node.input(1);
    byScale.set(scale, [...(byScale.get(scale) ?? []), node]);
  }
  const sites: ActivationSite[] = [];
  for (const [scale, nodes] of byScale) {
    const { initializer } = scale;
    if (scale.graph !== graph || !scale.isConstant || initializer?.size !== 1) continue;
    if (scale.uses.length !== nodes.length || scale.isOutput) continue;
    const quantizers = nodes.filter((node) => linearQuantization[node.op] === 'quantize');
    const others = new Set(nodes.filter((node) => !quantizers.includes(node)));
    const behind = quantizers.flatMap((node) => [...node.output().users]);
    const isPaired =
      quantizers.length > 0 &&
      behind.every((node) => others.has(node)) &&
      [...others].every((node) => quantizers.includes(node.input(0).producer!));
    if (!isPaired) continue;
    const { bits, kind } = dataTypes[quantizers[0]!.output().dataType ?? 'uint8'];
    sites.push({
      scale: scale.name,
      steps: 2 ** (kind === 'signed' ? bits - 1 : bits) - 1,
      elements: Math.max(...quantizers.map((node) => elementsPerSample(node.input(0)))),
      nodes,
    });
  }
  return sites;
}

function elementsPerSample({ dims = [] }: Value): number {
  return dims
    .slice(1)
    .reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : 1), 1);
}
