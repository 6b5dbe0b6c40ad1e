/**
 * Operators whose constants may hold the batch size that a model was exported with, and what to
 * put there so that the node takes any batch, and operators whose constants must be repeated for it.
 * What is not listed either follows its input's batch
 * by itself or cannot be opened.
 * Source: the ONNX operator specification; 0 in the shape of Reshape copies the dim of its input.
 */
import type { Node } from '../graph/node.js';

/** The new numbers of a constant input of int64, or undefined to leave them. */
export interface BatchConstant {
  readonly input: number;
  open(node: Node, numbers: readonly number[], batch: number): readonly number[] | undefined;
}

export const batchConstants: Readonly<Record<string, BatchConstant>> = Object.freeze({
  Reshape: { input: 1, open: openReshape },
});

function openReshape(
  node: Node,
  shape: readonly number[],
  batch: number,
): readonly number[] | undefined {
  const [first, ...rest] = shape;
  if (first === undefined || first <= 0) return undefined;
  // 0 means a dim of size 0 under allowzero; the runtime's default copies.
  const copies = node.int('allowzero', 0) === 0;
  if (copies && first === batch && node.input(0).dims?.[0] === batch) return [0, ...rest];
  // Batch and another axis merged, [1, 197, 768] to [197, 768]: the first dim grows with the batch.
  return shape.includes(-1) ? undefined : [-1, ...rest];
}

/** Constants that stand once for every sample, and the input whose batch they are to take. */
export interface BatchExpansion {
  readonly constants: readonly number[];
  readonly like: number;
}

/** Operators that broadcast nothing, so that a constant of batch 1 must be repeated for them. */
export const batchExpansions: Readonly<
  Record<string, (node: Node, batch: number) => BatchExpansion | undefined>
> = Object.freeze({ Concat: expandConcat });

/** Class tokens and the like: a constant of one sample beside what comes from the input. */
function expandConcat(node: Node, batch: number): BatchExpansion | undefined {
  // More than one sample in a constant are as many different rows: what comes next is not known.
  if (batch !== 1) return undefined;
  const { inputs } = node;
  const rank = inputs.find((input) => input?.dims)?.dims?.length;
  const axis = node.int('axis', 0);
  if (rank === undefined || axis === 0 || axis === -rank) return undefined;
  const constants: number[] = [];
  let like: number | undefined;
  for (const [at, input] of inputs.entries()) {
    if (input?.constant?.dims[0] === 1) constants.push(at);
    else if (input?.dims?.[0] === 1) like ??= at;
  }
  return like === undefined || constants.length === 0 ? undefined : { constants, like };
}
