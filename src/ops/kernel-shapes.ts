/**
 * Which convolutions the fast integer kernel of ONNX Runtime takes: the one that reads its input
 * in place. All others copy the window of every position first, which costs more than the sums
 * where channels are few. Facts only; no loops over graphs.
 * Source: MlasConvSymPackWSize in onnxruntime/core/mlas/lib/convsym.cpp, the dispatch tables for
 * x64 (AVX2 to AVX512-VNNI). WASM has no such kernel.
 */
import type { Target } from '../engine/engine.js';

/** Channels of a convolution as its weight [outputs, inputs per group, ..] tells them. */
export interface ConvChannels {
  readonly inputs: number;
  readonly outputs: number;
  readonly groups: number;
}

const inputMultiple = 4;
const outputMultiple = 4;
const leastOutputs = 16;
const depthwiseMultiple = 16;

export function isDepthwise({ inputs, outputs, groups }: ConvChannels): boolean {
  return groups > 1 && inputs === groups && outputs === groups;
}

/** Whether the input is read in place. `inputs` counts the channels of all groups. */
export function readsInPlace(channels: ConvChannels, target: Target): boolean {
  if (target !== 'node') return false;
  const { inputs, outputs, groups } = channels;
  if (isDepthwise(channels)) return groups % depthwiseMultiple === 0;
  return (
    groups === 1 &&
    inputs % inputMultiple === 0 &&
    outputs % outputMultiple === 0 &&
    outputs >= leastOutputs
  );
}

/**
 * How many input channels of zeros would make the kernel read in place; 0 where none are needed
 * or none help.
 */
export function missingInputs(channels: ConvChannels, target: Target): number {
  const inputs = Math.ceil(channels.inputs / inputMultiple) * inputMultiple;
  const padded = { ...channels, inputs };
  return readsInPlace(padded, target) ? inputs - channels.inputs : 0;
}
