/**
 * What the rewrite of a node sees of a cut, and the edits that it asks for. Edits of integer
 * constants are collected and written at the end, so that all rewrites see the numbers of before.
 */
import { addConstant } from '../graph/constant.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { Tensor } from '../onnx/tensor.js';
import type { CutScope, Mask } from '../ops/coupling-rule.js';
import { entriesOf } from '../ops/shape-entries.js';
import { setConstantInput } from '../simplify/edit.js';
import type { Masks } from './cut-masks.js';

interface Facts {
  readonly masks: Masks;
  /** Dims before the cut, by name. */
  readonly dims: ReadonlyMap<string, readonly number[]>;
  readonly numbers: ReadonlyMap<Value, readonly number[]>;
}

interface Scaling {
  readonly node: Node;
  readonly input: number;
  readonly factor: number;
}

export class CutScopes {
  readonly #facts: Facts;
  readonly #lists = new Map<Node, Map<number, number[]>>();
  readonly #scalings: Scaling[] = [];

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  of(node: Node): CutScope {
    const { masks, dims, numbers } = this.#facts;
    const mask = (value: Value | undefined, axis: number): Mask =>
      value && masks.get(value.name)?.[axis];
    const dimsOf = (value: Value) => dims.get(value.name) ?? [];
    return {
      node,
      has: (input) => node.inputs[input] !== undefined,
      dims: (input) => dimsOf(node.input(input)),
      outDims: (output = 0) => dimsOf(node.output(output)),
      kept: (input, axis) => mask(node.inputs[input], axis),
      keptOut: (axis, output = 0) => mask(node.outputs[output], axis),
      numbers: (input) => {
        const value = node.inputs[input];
        return value && numbers.get(value);
      },
      setNumbers: (input, list) => {
        this.#listsOf(node).set(input, [...list]);
      },
      setEntry: (input, entry, size) => this.#setEntry(node, input, entry, size),
      scaleInput: (input, factor, other = node) => {
        this.#scalings.push({ node: other, input, factor });
      },
    };
  }

  /** Writes what the rewrites asked for. */
  async write(): Promise<void> {
    for (const [node, lists] of this.#lists) {
      for (const [input, list] of lists) writeList(node, input, list);
    }
    for (const { node, input, factor } of this.#scalings) {
      const before = node.constantInput(input)!;
      const numbers = await before.numbers();
      const scaled = numbers.map((number) => number * factor);
      setConstantInput(node, input, Tensor.of(before.dataType, before.dims, scaled));
    }
  }

  #setEntry(node: Node, input: number, entry: number, size: number): void {
    const { numbers, dims } = this.#facts;
    const source = entriesOf(node, input, numbers, ({ name }) => dims.get(name))?.[entry];
    // A dim of another value is counted when the model runs, and -1 is what is left over.
    if (source?.kind !== 'constant' || source.number === -1) return;
    const lists = this.#listsOf(source.node);
    const list = lists.get(source.input) ?? [...numbers.get(source.node.input(source.input))!];
    list[source.at] = size;
    lists.set(source.input, list);
  }

  #listsOf(node: Node): Map<number, number[]> {
    const lists = this.#lists.get(node) ?? new Map<number, number[]>();
    this.#lists.set(node, lists);
    return lists;
  }
}

function writeList(node: Node, input: number, list: readonly number[]): void {
  const before = node.constantInput(input);
  const dims = before?.dims.length === 0 ? [] : [list.length];
  const tensor = Tensor.of(before?.dataType ?? 'int64', dims, list);
  if (node.inputs[input]) setConstantInput(node, input, tensor);
  else node.setInput(input, addConstant(node, `${node.label}_sizes`, tensor));
}
