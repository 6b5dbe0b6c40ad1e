/**
 * Where the entries of a computed shape come from: a constant that can be rewritten, a dim of
 * another value, which follows a cut by itself, or arithmetic on dims. Changes nothing.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';

export interface DimSource {
  readonly value: Value;
  readonly axis: number;
}

export type ShapeEntry =
  /** Entry `at` of the constant that is this input of `node`. */
  | {
      readonly kind: 'constant';
      readonly node: Node;
      readonly input: number;
      readonly at: number;
      readonly number: number;
    }
  | ({ readonly kind: 'dim' } & DimSource)
  | { readonly kind: 'computed' };

/** Inputs that take a shape and whose rules say what each entry sizes. */
export const shapeInputs: Readonly<Record<string, number>> = Object.freeze({
  Reshape: 1,
  Expand: 1,
  Resize: 3,
});

/** Operators that only move entries of a shape: whoever uses their result decides. */
export const shapeMovers: ReadonlySet<string> = new Set([
  'Shape',
  'Gather',
  'Slice',
  'Concat',
  'Squeeze',
  'Unsqueeze',
  'Cast',
  'Identity',
]);

type Numbers = ReadonlyMap<Value, readonly number[]>;
type DimsOf = (value: Value) => readonly number[] | undefined;

/** Shapes of shapes end soon; a file that goes on is not worth following. */
const maxDepth = 32;

/** The entries of input `index` of a node; undefined where their number is not even known. */
export function entriesOf(
  node: Node,
  index: number,
  numbers: Numbers,
  dimsOf: DimsOf,
  depth = 0,
): readonly ShapeEntry[] | undefined {
  const value = node.inputs[index];
  if (!value || depth > maxDepth) return undefined;
  const constant = numbers.get(value);
  if (constant) {
    return constant.map((number, at) => ({ kind: 'constant', node, input: index, at, number }));
  }
  const { producer } = value;
  const rule = producer && Object.hasOwn(rules, producer.op) ? rules[producer.op] : undefined;
  const from = (input: number) => entriesOf(producer!, input, numbers, dimsOf, depth + 1);
  const entries = rule?.(producer!, from, numbers, dimsOf);
  if (entries) return entries;
  const dims = dimsOf(value);
  if (!dims || dims.length > 1) return undefined;
  return new Array<ShapeEntry>(dims[0] ?? 1).fill({ kind: 'computed' });
}

/** Every dim that a list or a number is computed from, by way of lists and numbers. */
export function dimsBehind(value: Value, dimsOf: DimsOf): DimSource[] {
  const found: DimSource[] = [];
  const seen = new Set<Value>();
  const visit = (each: Value): void => {
    const { producer } = each;
    if (!producer || seen.has(each)) return;
    seen.add(each);
    if (producer.op === 'Shape') {
      const source = producer.input(0);
      const axes = dimsOf(source)?.length ?? 0;
      for (let axis = 0; axis < axes; axis++) found.push({ value: source, axis });
      return;
    }
    for (const input of producer.inputs)
      if (input && (dimsOf(input)?.length ?? 0) <= 1) visit(input);
  };
  visit(value);
  return found;
}

type Rule = (
  node: Node,
  from: (input: number) => readonly ShapeEntry[] | undefined,
  numbers: Numbers,
  dimsOf: DimsOf,
) => readonly ShapeEntry[] | undefined;

const pass: Rule = (_node, from) => from(0);

/** By operator: what exporters build shapes with. */
const rules: Readonly<Record<string, Rule>> = Object.freeze({
  Shape: (node, _from, _numbers, dimsOf) => {
    const value = node.input(0);
    const count = dimsOf(value)?.length;
    if (count === undefined) return undefined;
    const front = (at: number) => Math.min(Math.max(at < 0 ? at + count : at, 0), count);
    const start = front(node.int('start', 0));
    const end = node.has('end') ? front(node.int('end')) : count;
    return Array.from({ length: Math.max(0, end - start) }, (_, i) => ({
      kind: 'dim' as const,
      value,
      axis: start + i,
    }));
  },
  Gather: (node, from, numbers) => {
    const entries = from(0);
    const chosen = node.inputs[1] && numbers.get(node.inputs[1]);
    const picked = chosen?.map((i) => entries?.[i < 0 ? i + entries.length : i]);
    return picked?.every((entry) => entry !== undefined) ? (picked as ShapeEntry[]) : undefined;
  },
  Slice: (node, from, numbers) => {
    const entries = from(0);
    const number = (input: number) => node.inputs[input] && numbers.get(node.inputs[input]!)?.[0];
    const [start, end] = [number(1), number(2)];
    if (!entries || start === undefined || end === undefined) return undefined;
    return (number(4) ?? 1) === 1 ? entries.slice(start, end) : undefined;
  },
  Concat: (node, from) => {
    const parts = [...node.inputs.keys()].map(from);
    return parts.every((part) => part !== undefined) ? (parts.flat() as ShapeEntry[]) : undefined;
  },
  Squeeze: pass,
  Unsqueeze: pass,
  Reshape: pass,
  Cast: pass,
  Identity: pass,
});
