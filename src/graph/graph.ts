/**
 * A graph in memory: values, nodes in execution order, inputs, outputs, initializers. Subgraphs
 * (branches, loop bodies) are graphs whose nodes may use values of the graphs around them.
 * All edits keep links and names right; no numerics here.
 */
import { PareError } from '../errors.js';
import type { GraphProto } from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import type { AttributeInput } from './attribute.js';
import type { Model } from './model.js';
import { Node } from './node.js';
import { NodeList } from './node-list.js';
import { sortNodes } from './topological.js';
import { Value } from './value.js';
import type { ValueType } from './value-type.js';

export interface NodeSpec {
  readonly opType: string;
  /** Default '', the standard domain. */
  readonly domain?: string;
  /** Default: a fresh name made of the operator's. */
  readonly name?: string;
  readonly inputs: readonly (Value | undefined)[];
  /** Names for new values, values without a producer, or undefined for a hole. Default: one output with a fresh name. */
  readonly outputs?: readonly (string | Value | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInput | undefined>>;
}

/** A row of GraphProto.quantization_annotation; a parameter that no value has stays a name. */
export interface QuantizationAnnotation {
  readonly value: Value;
  readonly parameters: readonly (readonly [key: string, parameter: Value | string])[];
}

/** Where a new node goes: default at the end. */
export type Position = { readonly before: Node } | { readonly after: Node };

export class Graph {
  name: string;
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];
  readonly nodes = new NodeList();
  /** The node whose attribute holds this graph; undefined for a main graph or a function body. */
  owner: Node | undefined;
  /** The model, for a main graph; see `model` for any graph. */
  root: Model | undefined;
  /** Opsets of a function body, where they differ from the model's. */
  opsets: Map<string, number> | undefined;
  /** Which tensors hold the scale and zero point of a value, as the file annotates them. */
  readonly quantizationAnnotations: QuantizationAnnotation[] = [];
  /** The message it was read from, for what pare does not model. */
  origin: GraphProto | undefined;
  readonly #values = new Map<string, Value>();

  constructor(name = 'graph') {
    this.name = name;
  }

  /** The graph around this one. */
  get parent(): Graph | undefined {
    return this.owner?.graph;
  }

  /** The model that holds the graph, directly or around it. */
  get model(): Model | undefined {
    return this.root ?? this.parent?.model;
  }

  /** Version of an operator domain here; undefined when it is not imported. */
  opset(domain = ''): number | undefined {
    if (this.opsets) return this.opsets.get(domain);
    return this.root ? this.root.opsets.get(domain) : this.parent?.opset(domain);
  }

  /** Values of this scope, in order of definition. */
  get values(): IterableIterator<Value> {
    return this.#values.values();
  }

  /** Values with constant content, dense or sparse. */
  get initializers(): Value[] {
    return [...this.#values.values()].filter((value) => value.initializer ?? value.sparse);
  }

  /** The value of this name, here or in the graphs around. */
  find(name: string): Value | undefined {
    return this.#values.get(name) ?? this.parent?.find(name);
  }

  /** The value of this name, which must exist. */
  value(name: string): Value {
    const value = this.find(name);
    if (!value) throw new PareError('usage', `graph: no value is named "${name}"`);
    return value;
  }

  /** The node of this name in this graph. */
  node(name: string): Node | undefined {
    for (const node of this.nodes) if (node.name === name) return node;
    return undefined;
  }

  /** Nodes of this graph and of every subgraph inside it. */
  *allNodes(): Generator<Node> {
    for (const node of this.nodes) {
      yield node;
      for (const graph of node.subgraphs) yield* graph.allNodes();
    }
  }

  /** This graph and every subgraph inside it. */
  *allGraphs(): Generator<Graph> {
    yield this;
    for (const node of this.nodes) {
      for (const graph of node.subgraphs) yield* graph.allGraphs();
    }
  }

  /** A name that no value of the model has. */
  freshName(base: string): string {
    const names = this.#usedNames();
    if (!names.has(base)) return base;
    for (let i = 1; ; i++) if (!names.has(`${base}_${i}`)) return `${base}_${i}`;
  }

  /** A name that no node of this graph has. */
  freshNodeName(base: string): string {
    this.#nodeNames ??= new Set(Array.from(this.nodes, (node) => node.name));
    let name = base;
    for (let i = 1; this.#nodeNames.has(name); i++) name = `${base}_${i}`;
    return name;
  }

  /** A value without a producer, for readers and for outputs of nodes to come. */
  addValue(name: string, type?: ValueType): Value {
    if (this.#values.has(name)) {
      throw new PareError('invalid-model', `graph: the name "${name}" is defined twice`);
    }
    const value = new Value(this, name);
    value.type = type;
    this.#values.set(name, value);
    this.#usedNames().add(name);
    return value;
  }

  addInput(name: string, type?: ValueType): Value {
    const value = this.addValue(name, type);
    this.inputs.push(value);
    return value;
  }

  /** The name is made fresh when it is taken. */
  addInitializer(name: string, tensor: Tensor): Value {
    const value = this.addValue(this.freshName(name));
    value.initializer = tensor;
    return value;
  }

  addNode(spec: NodeSpec, position?: Position): Node {
    const base = spec.name ?? this.freshNodeName(spec.opType);
    this.#nodeNames?.add(base);
    const node = new Node(spec.opType, spec.domain ?? '', base);
    node.graph = this;
    node.setInputs(spec.inputs);
    (spec.outputs ?? [this.freshName(`${base}_out`)]).forEach((output, index) => {
      if (output === undefined) return;
      node.setOutput(index, typeof output === 'string' ? this.addValue(output) : output);
    });
    for (const [name, value] of Object.entries(spec.attributes ?? {})) {
      if (value !== undefined) node.setAttribute(name, value);
    }
    if (!position) this.nodes.append(node);
    else if ('before' in position) this.nodes.insertBefore(node, position.before);
    else this.nodes.insertAfter(node, position.after);
    return node;
  }

  /** Removes a node and its outputs, which nobody may use any more. */
  removeNode(node: Node): void {
    for (const output of node.outputs) {
      if (output && !output.isUnused) {
        throw new PareError('usage', `graph: "${output.name}" is still used`, { node: node.label });
      }
    }
    node.setInputs([]);
    // A subgraph that moved to another node has its owner there.
    for (const graph of node.subgraphs) if (graph.owner === node) graph.unlink();
    for (const output of [...node.outputs]) if (output) this.#values.delete(output.name);
    this.nodes.remove(node);
    node.graph = undefined;
  }

  /** Removes a value that nothing makes, uses or returns. */
  removeValue(value: Value): void {
    if (value.producer || !value.isUnused) {
      throw new PareError('usage', `graph: "${value.name}" is still in use`);
    }
    const at = this.inputs.indexOf(value);
    if (at >= 0) this.inputs.splice(at, 1);
    this.#values.delete(value.name);
  }

  /**
   * Makes `value` the graph output that `output` was, under the output's name. Returns false,
   * and changes nothing, when `value` cannot take the name: it is an input or an output itself,
   * or belongs to another scope, or a subgraph has a value of that name. (An initializer can:
   * its name is free to change.) A node that is known by the name of that output alone keeps it
   * as its own.
   */
  replaceOutput(output: Value, value: Value): boolean {
    if (!output.isOutput || output.graph !== this)
      throw new PareError('usage', `graph: "${output.name}" is no output`);
    if (value === output) return true;
    if (value.graph !== this || value.isInput || value.isOutput) return false;
    const name = output.name;
    if (this.#isNameInside(name)) return false;
    // A graph may return one value several times.
    this.outputs.forEach((each, at) => {
      if (each === output) this.outputs[at] = value;
    });
    const { producer } = output;
    if (producer?.name === '' && producer.label === name) {
      producer.name = this.freshNodeName(name);
      this.#nodeNames?.add(producer.name);
    }
    output.rename(this.freshName(`${name}_before`));
    value.rename(name);
    value.type ??= output.type;
    value.origin ??= output.origin;
    return true;
  }

  /** @internal Use Value.rename. */
  renameValue(value: Value, name: string): void {
    if (name === value.name) return;
    if (this.find(name) ?? this.#isNameInside(name))
      throw new PareError('usage', `graph: the name "${name}" is taken`);
    this.#values.delete(value.name);
    value.name = name;
    this.#values.set(name, value);
    this.#usedNames().add(name);
  }

  /** Puts the nodes into a stable topological order; throws `invalid-model` on a cycle. */
  sort(): void {
    sortNodes(this);
  }

  /** @internal For Node.setAttribute: names of a subgraph that joins count as used. */
  noteNames(joining: Graph): void {
    const names = this.#top.#names;
    for (const graph of joining.allGraphs()) {
      graph.#names = undefined;
      for (const name of names ? graph.#values.keys() : []) names!.add(name);
    }
  }

  /** @internal For subgraphs that leave: the values around them lose their users in here. */
  unlink(): void {
    for (const node of this.allNodes()) node.setInputs([]);
    this.owner = undefined;
  }

  /** Whether a subgraph inside this graph has a value of this name. */
  #isNameInside(name: string): boolean {
    if (!this.#usedNames().has(name)) return false;
    for (const graph of this.allGraphs()) {
      if (graph !== this && graph.#values.has(name)) return true;
    }
    return false;
  }

  get #top(): Graph {
    let top: Graph = this;
    while (top.parent) top = top.parent;
    return top;
  }

  /** Names of the whole tree of graphs, kept by the graph at its top. */
  #usedNames(): Set<string> {
    const top = this.#top;
    if (!top.#names) {
      top.#names = new Set();
      for (const graph of top.allGraphs()) {
        for (const name of graph.#values.keys()) top.#names.add(name);
      }
    }
    return top.#names;
  }

  #names: Set<string> | undefined;

  #nodeNames: Set<string> | undefined;
}
