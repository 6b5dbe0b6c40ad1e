/**
 * Layers that are linear in a constant weight, as one matrix per group: what their rows read, where
 * their outputs lie, where their bias is. A table by operator; nothing here runs or solves.
 */
import { addConstant } from '../../graph/constant.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { axisPatches, convolutionPatches, type PatchLayout } from '../../measure/input-patches.js';
import { elementCount } from '../../onnx/data-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { traitsOf } from '../../ops/traits.js';
import { weightInputs } from '../../ops/weights.js';

/** A bias that can be changed: the node that adds it, and which of its inputs it is. */
export interface BiasPlace {
  readonly node: Node;
  readonly index: number;
}

export interface LinearLayer {
  readonly node: Node;
  /** What is multiplied: input 0 in windows of `features` per group. */
  readonly layout: PatchLayout;
  readonly groups: number;
  readonly features: number;
  /** Outputs per group. */
  readonly outputs: number;
  /** Axis of the outputs in the result, from the end where negative. */
  readonly axis: number;
  readonly weight: Value;
  /** Weights of one output lie together ([out, in]), or those of one input ([in, out]). */
  readonly order: 'by output' | 'by input';
  /** Undefined where none can be added. */
  readonly bias: BiasPlace | undefined;
  /** The value behind the bias: what the layer hands on. */
  readonly result: Value;
}

type Found = LinearLayer | { readonly reason: string };

/** By operator: all whose weights can be fitted anew. */
const table: Readonly<
  Record<string, (node: Node, weight: Value, dims: readonly number[]) => Found>
> = Object.freeze({
  Conv(node, weight, dims) {
    const layout = convolutionPatches(node, dims);
    if ('reason' in layout) return layout;
    const { groups, features } = layout;
    const outputs = dims[0]! / groups;
    const shape = { layout, groups, features, outputs, axis: 1 };
    return withBias({ node, ...shape, weight, order: 'by output' });
  },
  Gemm(node, weight, dims) {
    if (node.float('alpha', 1) !== 1 || node.float('beta', 1) !== 1)
      return { reason: 'it scales its product' };
    if (node.int('transA', 0) !== 0) return { reason: 'its input is transposed' };
    const isTransposed = node.int('transB', 0) !== 0;
    const features = dims[isTransposed ? 1 : 0]!;
    const layout = axisPatches(features, -1);
    const outputs = dims[isTransposed ? 0 : 1]!;
    const shape = { layout, groups: 1, features, outputs, axis: -1 };
    return withBias({ node, ...shape, weight, order: isTransposed ? 'by output' : 'by input' });
  },
  MatMul(node, weight, dims) {
    if (dims.length !== 2) return { reason: `its weight has ${dims.length} axes` };
    const [features, outputs] = dims as [number, number];
    const layout = axisPatches(features, -1);
    const shape = { layout, groups: 1, features, outputs, axis: -1 };
    return { node, ...shape, weight, order: 'by input', ...addedBias(node, outputs) };
  },
});

/** The layer that a node is; undefined for other operators, and for products of two activations. */
export function linearLayer(node: Node): Found | undefined {
  const describe = Object.hasOwn(table, node.op) ? table[node.op] : undefined;
  if (!describe) return undefined;
  const weight = node.inputs[1];
  if (!weight?.isConstant) {
    const places = weightInputs[node.op]?.(node) ?? [];
    const isElsewhere = places.some(({ index }) => node.inputs[index]?.isConstant);
    if (isElsewhere) return { reason: 'its weight is the left operand' };
    return weight && isActivation(weight) ? undefined : { reason: 'its weight is no constant' };
  }
  const { dataType, dims } = weight.initializer!;
  if (dataType !== 'float') return { reason: `its weight is ${dataType}` };
  if (weight.uses.length > 1) return { reason: 'it shares its weight with another node' };
  return describe(node, weight, dims);
}

/** It follows from an input of the model, and not from constants alone. */
function isActivation(value: Value): boolean {
  const seen = new Set<Value>();
  const open = [value];
  for (let each = open.pop(); each; each = open.pop()) {
    if (seen.has(each) || each.isConstant) continue;
    if (each.isInput) return true;
    seen.add(each);
    for (const input of each.producer?.inputs ?? []) if (input) open.push(input);
  }
  return false;
}

/** Input 2, which may be left out. */
function withBias(layer: Omit<LinearLayer, 'bias' | 'result'>): Found {
  const { node } = layer;
  const bias = node.inputs[2];
  if (bias && !(bias.isConstant && bias.initializer!.size === layer.groups * layer.outputs))
    return { reason: 'its bias is no constant vector' };
  return { ...layer, bias: { node, index: 2 }, result: node.output() };
}

/** A constant that is added behind the product. */
function addedBias(node: Node, outputs: number): Pick<LinearLayer, 'bias' | 'result'> {
  const product = node.output();
  const use = product.onlyUse;
  const isSum = use && traitsOf(use.node.op).sum && use.node.inputs.length === 2;
  const other = isSum ? use.node.inputs[1 - use.index] : undefined;
  const dims = other?.isConstant ? other.initializer!.dims : undefined;
  const isVector = dims && elementCount(dims) === outputs && dims.at(-1) === outputs;
  if (!use || !isVector) return { bias: undefined, result: product };
  return { bias: { node: use.node, index: 1 - use.index }, result: use.node.output() };
}

/** [groups, outputs, features] in float64, whatever the order in the file. */
export async function readWeights(layer: LinearLayer): Promise<Float64Array> {
  const stored = await layer.weight.initializer!.floats();
  if (layer.order === 'by output') return Float64Array.from(stored);
  return transposed(Float64Array.from(stored), layer.features, layer.outputs);
}

/** Takes what `readWeights` gives. */
export function writeWeights({ weight, order, features, outputs }: LinearLayer, by: Float64Array) {
  const stored = order === 'by output' ? by : transposed(by, outputs, features);
  weight.initializer = Tensor.of('float', weight.initializer!.dims, Float32Array.from(stored));
}

export function writeBias({ node: layer }: LinearLayer, place: BiasPlace, bias: Float64Array) {
  const { node, index } = place;
  const before = node.inputs[index];
  const dims = before?.initializer?.dims ?? [bias.length];
  const tensor = Tensor.of('float', dims, Float32Array.from(bias));
  if (before && before.uses.length === 1) before.initializer = tensor;
  else node.setInput(index, addConstant(node, before?.name ?? `${layer.label}_bias`, tensor));
}

function transposed(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(matrix.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) result[j * rows + i] = matrix[i * columns + j]!;
  }
  return result;
}
