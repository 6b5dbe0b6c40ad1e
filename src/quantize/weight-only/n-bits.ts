/**
 * MatMul and Gemm as MatMulNBits of ONNX Runtime, with packed weights of 4 or 8 bits in blocks.
 * Source: the operator's documentation (com.microsoft, version 1): B is [N, blocks, bytes], the
 * rows of the transposed weight, first element in the low bits; scales and zero points [N, blocks],
 * 4-bit zero points packed row by row. accuracy_level 4 computes on 8-bit activations; without it
 * 8-bit weights have no kernel at all and are dequantized in every run.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { packBits } from '../../onnx/packed.js';
import { Tensor } from '../../onnx/tensor.js';
import { transpose } from '../../ops/constant-views.js';
import { integerRoles } from '../../ops/integer-roles.js';
import type { WeightInput } from '../../ops/weights.js';
import { type FoundWeight, findWeight, tooSmall } from '../find-weight.js';
import { scaledBias } from '../gemm-bias.js';
import { quantizeWeight } from '../integers.js';
import type { RewriteResult, Rewriter } from '../rewriter.js';

export interface NBitsOptions {
  /** 4 or 8. */
  readonly bits: number;
  readonly symmetric: boolean;
  readonly blockSize?: number | undefined;
  readonly minElements: number;
}

/** The fastest block on x64 (4 bits: 3.1 times float at one row, against 2.3 for 32). */
const defaultBlock = 128;
const smallestBlock = 16;

/** Undefined where the operator has no place for such a node: another form may hold it. */
export async function nBitsNode(
  node: Node,
  input: WeightInput,
  rewriter: Rewriter,
  options: NBitsOptions,
): Promise<RewriteResult | undefined> {
  const role = integerRoles[node.op];
  if (role?.kind !== 'compute' || input.index !== 1) return undefined;
  const weight = await findWeight(node, 1);
  if ('reason' in weight) return weight;
  const small = tooSmall(weight, options);
  if (small) return small;
  const sums = input.sumAxis?.(weight.dims.length);
  const isMatrix = weight.dims.length === 2 && role.weightAxis(node, 2) !== undefined;
  if (sums === undefined || !isMatrix || weight.dataType !== 'float') return undefined;
  const size = weight.dims[sums]!;
  const blockSize = options.blockSize ?? blockFor(size);
  const packed = await packOnce(rewriter, weight, sums, blockSize, options);
  const alpha = role.factors(node).weight;
  const scales = alpha === 1 ? packed.scales : await scaledBy(rewriter, node, packed.scales, alpha);
  const bias = await scaledBias(rewriter, node, weight.dataType);
  const columns = weight.dims[1 - sums]!;
  const inside = bias?.dims?.length === 1 && bias.dims[0] === columns ? bias : undefined;
  const inputs = [node.input(0), packed.values, scales, packed.zeroPoints, undefined, inside];
  while (inputs.at(-1) === undefined) inputs.pop();
  const { bits } = options;
  const attributes = {
    K: size,
    N: columns,
    bits,
    block_size: blockSize,
    accuracy_level: 4,
  };
  let result = rewriter.emit(node, 'MatMulNBits', inputs, attributes, 'com.microsoft');
  rewriter.model.opsets.set('com.microsoft', 1);
  if (bias && !inside) result = rewriter.emit(node, 'Add', [result, bias]);
  rewriter.replace(node, result);
  const shape = `[${weight.dims.join(',')}]`;
  return { done: `MatMulNBits, ${bits}-bit weight ${shape} in blocks of ${blockSize}` };
}

/** Longer blocks than the sum would store padding. */
function blockFor(size: number): number {
  return Math.max(smallestBlock, Math.min(defaultBlock, 2 ** Math.ceil(Math.log2(size))));
}

interface Packed {
  readonly values: Value;
  readonly scales: Value;
  readonly zeroPoints: Value | undefined;
}

/** Nodes that share a weight share its packed form, whichever way each of them has it turned. */
function packOnce(
  rewriter: Rewriter,
  weight: FoundWeight,
  sums: number,
  blockSize: number,
  { bits, symmetric }: NBitsOptions,
): Promise<Packed> {
  const rows = weight.perm[sums]!;
  const key = `n-bits|${bits}|${symmetric}|${blockSize}|sum axis ${rows}`;
  return rewriter.once(weight.source, key, async () => {
    const floats = await read(weight, sums);
    const [n, k] = [weight.dims[1 - sums]!, weight.dims[sums]!];
    const { name, graph } = weight.source;
    const layout = { dims: [n, k], axis: 1, blockSize };
    // The operator has unsigned integers only; symmetric ones are the signed, moved.
    const dataType = bits === 4 ? 'uint4' : 'uint8';
    const { values, scales, zeroPoints } = quantizeWeight(
      floats,
      layout,
      { dataType, symmetric },
      name,
    );
    const blocks = Math.ceil(k / blockSize);
    const bytes = (blockSize * bits) / 8;
    const constant = (what: string, tensor: Tensor) =>
      rewriter.constant(graph, `${name}_${what}`, tensor);
    const padded = padRows(values, n, k, blocks * blockSize);
    return {
      values: constant(
        'quantized',
        Tensor.of('uint8', [n, blocks, bytes], bits === 4 ? packBits(padded, 4) : padded),
      ),
      scales: constant('scale', Tensor.of('float', [n, blocks], scales)),
      // Without them zero is in the middle, which is where symmetric ones have it.
      zeroPoints: symmetric
        ? undefined
        : constant('zero_point', zeroPointTensor(zeroPoints, n, blocks, bits)),
    };
  });
}

/** The weight with its sums along the rows. */
async function read(weight: FoundWeight, sums: number): Promise<Float32Array> {
  const floats = await weight.read();
  return sums === 1 ? floats : transpose(floats, weight.dims, [1, 0]);
}

/** Rows filled up to a whole number of blocks; the activations are padded with zeros. */
function padRows(values: ArrayLike<number>, rows: number, from: number, to: number): Uint8Array {
  const out = new Uint8Array(rows * to);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < from; i++) out[row * to + i] = values[row * from + i]!;
  }
  return out;
}

/** 4-bit zero points have whole bytes per row: an odd count leaves half a byte unused. */
function zeroPointTensor(
  zeros: ArrayLike<number>,
  rows: number,
  blocks: number,
  bits: number,
): Tensor {
  if (bits === 8) return Tensor.of('uint8', [rows, blocks], Uint8Array.from(zeros));
  const even = blocks + (blocks % 2);
  const packed = packBits(padRows(zeros, rows, blocks, even), 4);
  return Tensor.of('uint8', [rows, even / 2], packed);
}

async function scaledBy(rewriter: Rewriter, node: Node, scales: Value, factor: number) {
  const tensor = scales.initializer!;
  const floats = (await tensor.floats()).map((scale) => scale * factor);
  return rewriter.constant(
    node.graph!,
    `${scales.name}_alpha`,
    Tensor.of('float', tensor.dims, floats),
  );
}
