/**
 * Computed shapes and the labels of what they size: an entry that is a dim of another value ties
 * the two axes, an entry in a constant that several nodes read ties all that it sizes, and a dim
 * that anything but a shape is computed from is fixed.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { dimsBehind, entriesOf, shapeInputs, shapeMovers } from '../ops/shape-entries.js';
import type { Labels } from './labels.js';

interface Actions {
  unify(a: Labels, b: Labels, by: string): void;
  fix(labels: Labels, by: string, reason: string): void;
}

export class ShapeSources {
  readonly #labels: ReadonlyMap<Value, readonly Labels[]>;
  readonly #numbers: ReadonlyMap<Value, readonly number[]>;
  readonly #actions: Actions;
  /** By constant and entry: the axis that it sizes. */
  readonly #sized = new Map<Value, Map<number, Labels>>();

  constructor(
    labels: ReadonlyMap<Value, readonly Labels[]>,
    numbers: ReadonlyMap<Value, readonly number[]>,
    actions: Actions,
  ) {
    this.#labels = labels;
    this.#numbers = numbers;
    this.#actions = actions;
  }

  /** The axis takes its size from this entry of the node's input. */
  connect(node: Node, input: number, entry: number, labels: Labels): void {
    const value = node.inputs[input];
    // The rewrite gives the node a constant of its own.
    if (!value || value.constant) return;
    const source = entriesOf(node, input, this.#numbers, this.#dims)?.[entry];
    const by = node.label;
    if (source?.kind === 'dim') {
      const other = this.#labels.get(source.value)?.[source.axis];
      if (other && other.length === labels.length) this.#actions.unify(other, labels, by);
      else {
        this.#actions.fix(labels, by, 'its size is computed');
        if (other) this.#actions.fix(other, by, 'a shape is computed from its size');
      }
      return;
    }
    if (source?.kind === 'constant') {
      if (source.number === -1) return;
      const constant = source.node.inputs[source.input]!;
      const known = this.#sized.get(constant) ?? new Map<number, Labels>();
      const before = known.get(source.at);
      if (before) this.#actions.unify(before, labels, by);
      else known.set(source.at, labels);
      this.#sized.set(constant, known);
      return;
    }
    this.#actions.fix(labels, by, 'its size is computed');
    for (const each of dimsBehind(value, this.#dims)) this.#fixDim(each.value, each.axis, by);
  }

  /** Fixes the dims that this node computes from, unless it only moves them or takes a shape. */
  fixObserved(node: Node): void {
    if (shapeMovers.has(node.op)) return;
    node.inputs.forEach((value, input) => {
      if (!value?.producer || shapeInputs[node.op] === input || !this.#isList(value)) return;
      const entries = entriesOf(node, input, this.#numbers, this.#dims);
      if (entries) {
        for (const entry of entries) {
          if (entry.kind === 'dim') this.#fixDim(entry.value, entry.axis, node.label);
        }
      } else if (shapeMovers.has(value.producer.op)) {
        for (const each of dimsBehind(value, this.#dims)) {
          this.#fixDim(each.value, each.axis, node.label);
        }
      }
    });
  }

  #fixDim(value: Value, axis: number, by: string): void {
    const labels = this.#labels.get(value)?.[axis];
    if (labels) this.#actions.fix(labels, by, 'it computes with its size');
  }

  /** Shapes and their entries; activations are followed by labels. */
  #isList(value: Value): boolean {
    return (this.#labels.get(value)?.length ?? 0) <= 1;
  }

  readonly #dims = (value: Value): readonly number[] | undefined =>
    this.#labels.get(value)?.map(({ length }) => length);
}
