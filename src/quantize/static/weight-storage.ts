/**
 * How the weight of a planned node is stored: its integers, its channels or blocks, and whether an
 * integer kernel can take it so. Decides; quantizes nothing.
 */
import { dataTypes } from '../../onnx/data-type.js';
import { hasIntegerKernel } from '../../ops/integer-kernels.js';
import { weightInputs } from '../../ops/weights.js';
import type { WeightFormat, WeightLayout } from '../integers.js';
import { isSymmetric } from '../weight-types.js';
import type { StaticOptions } from './options.js';
import type { Override } from './override-schema.js';
import type { ComputeNode, Plan } from './plan.js';

export interface WeightStorage {
  readonly format: WeightFormat;
  readonly layout: WeightLayout;
  /** An int32 bias has the scale of the products; float kernels take a float bias. */
  readonly integerBias: boolean;
}

export function storageOf(
  { node, weight, axis }: ComputeNode,
  options: StaticOptions,
  override: Override = {},
): WeightStorage {
  const { weights: dataType, reduceRange } = options;
  const { perChannel = options.perChannel, symmetric = options.weightSymmetric } = override;
  const format: WeightFormat = {
    dataType,
    symmetric: isSymmetric(dataType, symmetric),
    reduceRange,
  };
  const { dims } = weight;
  const sums = blockAxis({ node, weight }, options);
  const layout =
    sums === undefined
      ? { dims, axis: perChannel ? axis : undefined }
      : { dims, axis: sums, blockSize: options.blockSize };
  return { format, layout, integerBias: sums === undefined && dataTypes[dataType].bits === 8 };
}

/** The axis that blocks lie along, where this node has them. */
function blockAxis(
  { node, weight }: Pick<ComputeNode, 'node' | 'weight'>,
  { blockSize }: StaticOptions,
): number | undefined {
  if (blockSize === undefined) return undefined;
  const input = weightInputs[node.op]?.(node).find(({ index }) => index === 1);
  return input?.sumAxis?.(weight.dims.length);
}

/** The planned nodes that no integer kernel computes, and why, as a remark for the report. */
export function computedInFloat(
  plan: Plan,
  options: StaticOptions,
): { readonly nodes: ReadonlySet<ComputeNode['node']>; readonly remarks: readonly string[] } {
  const { activations, weights, blockSize } = options;
  if (!hasIntegerKernel(activations, weights)) {
    const nodes = new Set(plan.compute.map(({ node }) => node));
    const what = `${weights} weights beside ${activations} activations`;
    return {
      nodes,
      remarks: [`${what}: no integer kernel, the runtime dequantizes both and computes in float`],
    };
  }
  const nodes = new Set(
    plan.compute.filter((each) => blockAxis(each, options) !== undefined).map(({ node }) => node),
  );
  if (nodes.size === 0) return { nodes, remarks: [] };
  const what = `${nodes.size} weights in blocks of ${blockSize}`;
  return {
    nodes,
    remarks: [
      `${what}: no integer kernel takes them with static activations, they are dequantized`,
    ],
  };
}
