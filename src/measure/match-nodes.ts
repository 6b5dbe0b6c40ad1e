/**
 * Which node of one model is which of another: by name, then by the name of its first output, then
 * by structure (the same operator and attributes on the same inputs). Compares no weights' numbers.
 */
import { attributeHead, attributeValue } from '../graph/attribute-text.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { placeOf } from './operator-rows.js';

export interface NodePair {
  readonly a: Node;
  readonly b: Node;
  readonly by: 'name' | 'output' | 'structure';
}

export interface NodeMatch {
  /** In the order of the first model. */
  readonly pairs: readonly NodePair[];
  readonly removed: readonly Node[];
  readonly added: readonly Node[];
  /** The value of the second model that stands for a value of the first, where one is known. */
  readonly values: ReadonlyMap<Value, Value>;
}

export async function matchNodes(a: Model, b: Model): Promise<NodeMatch> {
  return new Matcher(a, b).run();
}

/** Attributes as text, by name; subgraphs are left out, their nodes are matched themselves. */
export async function attributeTexts(node: Node): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const [name, attribute] of node.attributes) {
    if (attribute.type === 'graph' || attribute.type === 'graphs') continue;
    const text = await attributeValue(attribute, 'short');
    texts.set(attributeHead(name, attribute), text);
  }
  return texts;
}

class Matcher {
  readonly #a: readonly Node[];
  readonly #b: readonly Node[];
  readonly #ofA = new Map<Node, NodePair>();
  readonly #ofB = new Set<Node>();
  readonly #values = new Map<Value, Value>();
  readonly #models: readonly [Model, Model];

  constructor(a: Model, b: Model) {
    this.#models = [a, b];
    this.#a = [...a.allNodes()];
    this.#b = [...b.allNodes()];
  }

  async run(): Promise<NodeMatch> {
    this.#byKey('name', (node) => node.name);
    this.#byKey('output', (node) => node.outputs.find((output) => output)?.name ?? '');
    this.#pairConstants();
    await this.#byStructure();
    return {
      pairs: this.#a.flatMap((node) => this.#ofA.get(node) ?? []),
      removed: this.#a.filter((node) => !this.#ofA.has(node)),
      added: this.#b.filter((node) => !this.#ofB.has(node)),
      values: this.#values,
    };
  }

  #pair(a: Node, b: Node, by: NodePair['by']): void {
    this.#ofA.set(a, { a, b, by });
    this.#ofB.add(b);
    a.outputs.forEach((output, at) => {
      const other = b.outputs[at];
      if (output && other) this.#values.set(output, other);
    });
  }

  /** Nodes whose key is unique in both models, and in the same place of them. */
  #byKey(by: 'name' | 'output', keyOf: (node: Node) => string): void {
    const [left, right] = [this.#unique(this.#a, keyOf), this.#unique(this.#b, keyOf)];
    for (const [key, a] of left) {
      const b = right.get(key);
      if (a && b && !this.#ofA.has(a) && !this.#ofB.has(b)) this.#pair(a, b, by);
    }
  }

  #unique(nodes: readonly Node[], keyOf: (node: Node) => string): Map<string, Node | undefined> {
    const found = new Map<string, Node | undefined>();
    for (const node of nodes) {
      const name = keyOf(node);
      if (name === '') continue;
      const key = `${placeOf(node) ?? ''}\n${name}`;
      found.set(key, found.has(key) ? undefined : node);
    }
    return found;
  }

  /** Values without a producer: inputs by name, else by position; constants by name. */
  #pairConstants(): void {
    const [a, b] = this.#models;
    const others = new Map(b.graph.inputs.map((value) => [value.name, value]));
    a.graph.inputs.forEach((value, at) => {
      const other = others.get(value.name) ?? b.graph.inputs[at];
      if (other) this.#values.set(value, other);
    });
    const constants = new Map<string, Value>();
    for (const graph of b.allGraphs()) {
      for (const value of graph.initializers) constants.set(value.name, value);
    }
    for (const graph of a.allGraphs()) {
      for (const value of graph.initializers) {
        const other = constants.get(value.name);
        if (other && !this.#values.has(value)) this.#values.set(value, other);
      }
    }
  }

  /** In order of execution, so that what one pair proves helps the nodes behind it. */
  async #byStructure(): Promise<void> {
    const free = new Map<string, Node[]>();
    const numbers = new Map<Value, number>();
    const idOf = (value: Value) => {
      let id = numbers.get(value);
      if (id === undefined) numbers.set(value, (id = numbers.size));
      return id;
    };
    const keyOf = async (node: Node, inputs: readonly (Value | undefined)[]) => {
      const attributes = [...(await attributeTexts(node))].sort().map(String);
      const ids = inputs.map((value) => (value ? idOf(value) : ''));
      return `${placeOf(node) ?? ''}\n${node.op}\n${attributes}\n${ids}`;
    };
    for (const node of this.#b) {
      if (this.#ofB.has(node)) continue;
      const key = await keyOf(node, node.inputs);
      free.set(key, [...(free.get(key) ?? []), node]);
    }
    if (free.size === 0) return;
    for (const node of this.#a) {
      if (this.#ofA.has(node)) continue;
      const inputs = node.inputs.map((value) => value && this.#values.get(value));
      if (inputs.some((value, at) => !value && node.inputs[at])) continue;
      const match = free.get(await keyOf(node, inputs))?.shift();
      if (match) this.#pair(node, match, 'structure');
    }
  }
}
