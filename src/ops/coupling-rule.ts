/**
 * What a rule of the coupling tables sees and may do. Each index of each axis of each tensor has a
 * label; a rule tells which labels of a node's inputs and outputs are the same, which indices can
 * only leave together, and which cannot leave at all. A second function recomputes what the node
 * has stored of the widths (shapes, sizes, groups) once indices are gone.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';

/** One label per index of an axis. */
export type Labels = Int32Array;

/** How the slices of a constant take part: they make a width, consume it, or ride along. */
export type Side = 'out' | 'in' | 'other';

/** Which factor of a Reshape stays free when it splits a width into several axes. */
export type SplitChoice = 'heads' | 'head-dim' | 'auto';

export interface LabelScope {
  readonly node: Node;
  readonly split: SplitChoice;
  has(input: number): boolean;
  /** Concrete dims. */
  dims(input: number): readonly number[];
  outDims(output?: number): readonly number[];
  /** Concrete dims of any value, for rules that look at what comes next. */
  dimsOf(value: Value): readonly number[] | undefined;
  /** Labels of an input, one array per axis. */
  labels(input: number): readonly Labels[];
  /** Gives an output its labels. Outputs that a rule leaves out are fixed. */
  set(labels: readonly Labels[], output?: number): void;
  /** The indices at equal places leave together; arrays of different lengths fix each other. */
  unify(a: Labels, b: Labels): void;
  /** Two indices leave together. */
  tie(a: number, b: number): void;
  /** The indices stay, because of this node. */
  fix(labels: Labels, reason: string): void;
  fixInput(input: number, reason: string): void;
  /** Labels of an axis that stays. */
  fixed(length: number, reason?: string): Labels;
  /** Labels of an axis that nothing is known of yet. */
  free(length: number): Labels;
  isFixed(label: number): boolean;
  /** Whatever stands for the set of a label now. */
  root(label: number): number;
  /** Marks the axis of an input, in case it is a constant. Default 'other'. */
  side(input: number, axis: number, side: Side): void;
  /** Names what the units of these labels are. */
  kind(labels: Labels, kind: string): void;
  /**
   * The node sums over the axis: cut indices must have been zero where their unit is zero, in one
   * of these inputs ('any') or in all of them ('all').
   */
  sums(labels: Labels, inputs: readonly number[], need: 'any' | 'all'): void;
  /**
   * The node averages or normalizes over this axis of an input; exact: a rescale makes up for a
   * cut, where what is cut was zero.
   */
  normalizes(input: number, axis: number, exact: boolean): void;
  /** Content of a small constant input, undefined where it is computed or left out. */
  numbers(input: number): readonly number[] | undefined;
  /** The axis of the output takes its size from entry `entry` of this input, if that can follow a cut. */
  sizedBy(input: number, entry: number, labels: Labels): void;
}

/** Which indices of an axis are kept: 1 or 0 per index. Undefined: all of them. */
export type Mask = Uint8Array | undefined;

export interface CutScope {
  readonly node: Node;
  has(input: number): boolean;
  /** Dims before the cut. */
  dims(input: number): readonly number[];
  outDims(output?: number): readonly number[];
  kept(input: number, axis: number): Mask;
  keptOut(axis: number, output?: number): Mask;
  numbers(input: number): readonly number[] | undefined;
  /** Replaces a list of integers that is an input; adds it where there was none. */
  setNumbers(input: number, numbers: readonly number[]): void;
  /** Replaces one entry of a shape, wherever the constant of it is. */
  setEntry(input: number, entry: number, size: number): void;
  /** Multiplies a constant float input, of another node if one is given. */
  scaleInput(input: number, factor: number, node?: Node): void;
}

/**
 * When the output is zero at indices whose constants are zero: all inputs of `all` must be zero
 * there and one of `any`. Undefined: it is not known to be.
 */
export interface Zeros {
  readonly all?: readonly number[];
  readonly any?: readonly number[];
}

/** A list of zero points goes along this axis of the input that they are for. */
export interface ZeroPointPlace {
  readonly of: number;
  readonly by: number;
  axis(node: Node, rank: number): number;
}

/** A row of the table. */
export interface CouplingRule {
  couple(scope: LabelScope): void;
  rewrite?(scope: CutScope): void;
  /** 'all': every input. */
  readonly zeros?: Zeros | 'all';
  /** Inputs that must not be zero, since the node divides by them. */
  readonly divisors?: readonly number[];
  /** Inputs in quantized numbers, with the input that says which number is zero. */
  readonly zeroPoints?: readonly ZeroPointPlace[];
  /**
   * The node normalizes by the root mean square of an axis: makes up for `before` indices that
   * have become `after`.
   */
  rescale?(scope: CutScope, before: number, after: number): void;
}

export type CouplingRules = Readonly<Record<string, CouplingRule>>;

/** Number of kept indices. */
export function countKept(mask: Mask, length: number): number {
  if (!mask) return length;
  let count = 0;
  for (let i = 0; i < mask.length; i++) count += mask[i]!;
  return count;
}

/** Fixes all inputs; outputs that nobody sets are fixed. */
export function fixAll(scope: LabelScope, reason: string): void {
  for (let i = 0; i < scope.node.inputs.length; i++) if (scope.has(i)) scope.fixInput(i, reason);
}

/** A rule that lets nothing move. */
export const fixedRule = (reason: string): CouplingRule => ({
  couple: (scope) => fixAll(scope, reason),
});

/** Axis of an attribute, counted from the front. */
export function axisOf(scope: { readonly node: Node }, rank: number, fallback: number): number {
  const axis = scope.node.int('axis', fallback);
  return axis < 0 ? axis + rank : axis;
}

/** One axis after the other. */
export function joinLabels(parts: readonly Labels[]): Labels {
  const joined = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
