/**
 * A node: one operator applied to values. Inputs and outputs may have holes (undefined) where an
 * optional one is left out. All edits keep the def-use links right.
 */
import { PareError } from '../errors.js';
import type { NodeProto } from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import { type Attribute, type AttributeInput, graphsOf, textOf, toAttribute } from './attribute.js';
import { attributeDefault } from './attribute-defaults.js';
import type { Graph } from './graph.js';
import type { Value } from './value.js';

export class Node {
  name: string;
  opType: string;
  /** '' for the standard operators. */
  domain: string;
  overload = '';
  /** The message it was read from, for what pare does not model. */
  origin: NodeProto | undefined;
  /** The graph that holds it; undefined once removed. */
  graph: Graph | undefined;
  /** @internal Links of the graph's node list. */
  previous: Node | undefined;
  /** @internal */
  next: Node | undefined;

  readonly #inputs: (Value | undefined)[] = [];
  readonly #outputs: (Value | undefined)[] = [];
  readonly #attributes = new Map<string, Attribute>();

  /** @internal Nodes are made by Graph.addNode. */
  constructor(opType: string, domain: string, name: string) {
    this.opType = opType;
    this.domain = domain;
    this.name = name;
  }

  get inputs(): readonly (Value | undefined)[] {
    return this.#inputs;
  }

  get outputs(): readonly (Value | undefined)[] {
    return this.#outputs;
  }

  get attributes(): ReadonlyMap<string, Attribute> {
    return this.#attributes;
  }

  /** 'Conv', or 'com.microsoft:FusedMatMul' outside the standard domain. */
  get op(): string {
    return this.domain === '' ? this.opType : `${this.domain}:${this.opType}`;
  }

  /** How messages name the node: its name, or its first output where it has none. */
  get label(): string {
    return this.name || this.#outputs.find((output) => output)?.name || this.op;
  }

  /** The input, which must be there. */
  input(index: number): Value {
    const value = this.#inputs[index];
    if (!value) throw this.#missing(`input ${index}`);
    return value;
  }

  /** The output, which must be there. */
  output(index = 0): Value {
    const value = this.#outputs[index];
    if (!value) throw this.#missing(`output ${index}`);
    return value;
  }

  /** Content of an input that is constant (initializer or Constant node), undefined otherwise. */
  constantInput(index: number): Tensor | undefined {
    return this.#inputs[index]?.constant;
  }

  /** Replaces an input; undefined leaves it out. Trailing holes are dropped. */
  setInput(index: number, value: Value | undefined): void {
    while (this.#inputs.length <= index) this.#inputs.push(undefined);
    const before = this.#inputs[index];
    this.#inputs[index] = value;
    if (before && !this.#inputs.includes(before)) before.users.delete(this);
    value?.users.add(this);
    while (this.#inputs.length > 0 && this.#inputs.at(-1) === undefined) this.#inputs.pop();
  }

  /** Replaces all inputs. */
  setInputs(values: readonly (Value | undefined)[]): void {
    for (const value of this.#inputs) value?.users.delete(this);
    this.#inputs.length = 0;
    values.forEach((value, index) => {
      if (value) this.setInput(index, value);
    });
  }

  /** Makes the node produce `value` at this position; the value must have no producer yet. */
  setOutput(index: number, value: Value | undefined): void {
    if (value?.producer && value.producer !== this) {
      throw new PareError('usage', `graph: "${value.name}" has a producer already`, {
        node: this.label,
      });
    }
    if (value && this.#outputs.some((output, at) => output === value && at !== index)) {
      throw new PareError('usage', `graph: "${value.name}" is another output already`, {
        node: this.label,
      });
    }
    while (this.#outputs.length <= index) this.#outputs.push(undefined);
    const before = this.#outputs[index];
    if (before && before !== value) before.producer = undefined;
    this.#outputs[index] = value;
    if (value) value.producer = this;
    while (this.#outputs.length > 0 && this.#outputs.at(-1) === undefined) this.#outputs.pop();
  }

  /** Gives up all outputs, so that another node can take them over. */
  takeOutputs(): (Value | undefined)[] {
    const outputs = [...this.#outputs];
    for (const output of outputs) if (output) output.producer = undefined;
    this.#outputs.length = 0;
    return outputs;
  }

  setAttribute(name: string, value: AttributeInput): void {
    const attribute = toAttribute(value);
    const graphs = graphsOf(attribute);
    this.#letGo(name, graphs);
    this.#attributes.set(name, attribute);
    for (const graph of graphs) {
      graph.owner = this;
      this.graph?.noteNames(graph);
    }
  }

  /** Subgraphs that only this attribute held lose their links to the values around. */
  removeAttribute(name: string): void {
    this.#letGo(name, []);
    this.#attributes.delete(name);
  }

  has(name: string): boolean {
    return this.#attributes.has(name);
  }

  /** An int attribute, else the specification's default, else `fallback`. */
  int(name: string, fallback?: number): number {
    return Number(this.#read(name, 'int', fallback));
  }

  float(name: string, fallback?: number): number {
    return this.#read(name, 'float', fallback) as number;
  }

  string(name: string, fallback?: string): string {
    const value = this.#read(name, 'string', fallback);
    return typeof value === 'string' ? value : textOf(value as Uint8Array);
  }

  ints(name: string, fallback?: readonly number[]): number[] {
    return (this.#read(name, 'ints', fallback) as readonly (bigint | number)[]).map(Number);
  }

  floats(name: string, fallback?: readonly number[]): readonly number[] {
    return this.#read(name, 'floats', fallback) as readonly number[];
  }

  strings(name: string, fallback?: readonly string[]): string[] {
    const values = this.#read(name, 'strings', fallback) as readonly (Uint8Array | string)[];
    return values.map((value) => (typeof value === 'string' ? value : textOf(value)));
  }

  tensorAttribute(name: string): Tensor | undefined {
    const attribute = this.#attributes.get(name);
    return attribute?.type === 'tensor' ? attribute.value : undefined;
  }

  graphAttribute(name: string): Graph | undefined {
    const attribute = this.#attributes.get(name);
    return attribute?.type === 'graph' ? attribute.value : undefined;
  }

  /** Graphs in the attributes: branches of If, bodies of Loop and Scan. */
  get subgraphs(): Graph[] {
    return [...this.#attributes.values()].flatMap(graphsOf);
  }

  toString(): string {
    return `${this.op} "${this.label}"`;
  }

  /** Values must not keep links from nodes of a subgraph that is gone. */
  #letGo(name: string, kept: readonly Graph[]): void {
    const attribute = this.#attributes.get(name);
    for (const graph of attribute ? graphsOf(attribute) : []) {
      // A graph that moved to another node has its owner there already.
      if (graph.owner === this && !kept.includes(graph)) graph.unlink();
    }
  }

  #read(name: string, type: Attribute['type'], fallback: unknown): unknown {
    const attribute = this.#attributes.get(name);
    if (attribute?.type === type) return attribute.value;
    if (attribute) {
      throw new PareError(
        'invalid-model',
        `graph: attribute ${name} of ${this.op} is of type ${attribute.type}, not ${type}`,
        { node: this.label },
      );
    }
    const known = attributeDefault(this.op, name, this.graph?.opset(this.domain));
    const value = known ?? fallback;
    if (value === undefined) {
      throw new PareError('invalid-model', `graph: ${this.op} has no attribute ${name}`, {
        node: this.label,
      });
    }
    return value;
  }

  #missing(what: string): PareError {
    return new PareError('invalid-model', `graph: ${this.op} has no ${what}`, { node: this.label });
  }
}
