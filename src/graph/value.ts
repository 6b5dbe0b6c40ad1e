/**
 * A named value of a graph: what a node makes, a graph input, or an initializer. Values know who
 * makes them and who uses them, in this graph and in the subgraphs that capture them.
 */
import type { DataType } from '../onnx/data-type.js';
import type { SparseTensorProto, ValueInfoProto } from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import type { Graph } from './graph.js';
import type { Node } from './node.js';
import type { Dim, ValueType } from './value-type.js';

/** One use of a value by a node: `node.inputs[index]` is the value. */
export interface Use {
  readonly node: Node;
  readonly index: number;
}

export class Value {
  /** Unique in its scope. Change it with `rename`. */
  name: string;
  /** The graph whose scope the value belongs to. */
  readonly graph: Graph;
  /** Type and shape as far as the file or inference tell. */
  type: ValueType | undefined;
  /** The node that makes it; undefined for graph inputs and initializers. */
  producer: Node | undefined;
  /** Constant content. A value can be an input and have an initializer: then it is a default. */
  initializer: Tensor | undefined;
  /** A sparse initializer, kept as it is in the file. */
  sparse: SparseTensorProto | undefined;
  /** The message it was read from, for what pare does not model (doc string, metadata). */
  origin: ValueInfoProto | undefined;
  /** @internal Nodes that have the value among their inputs. */
  readonly users = new Set<Node>();

  /** @internal Values are made by Graph. */
  constructor(graph: Graph, name: string) {
    this.graph = graph;
    this.name = name;
  }

  get isInput(): boolean {
    return this.graph.inputs.includes(this);
  }

  get isOutput(): boolean {
    return this.graph.outputs.includes(this);
  }

  /** True when the value is the same in every run: an initializer that no input can override. */
  get isConstant(): boolean {
    return this.initializer !== undefined && !this.isInput;
  }

  /** What is constant about it, whichever way the file stores it: an initializer, a Constant node. */
  get constant(): Tensor | undefined {
    if (this.isConstant) return this.initializer;
    return this.producer?.op === 'Constant' ? this.producer.tensorAttribute('value') : undefined;
  }

  get dataType(): DataType | undefined {
    return this.type?.kind === 'tensor' ? this.type.dataType : this.initializer?.dataType;
  }

  /** Dims where known: a number, a symbol, or undefined for an unknown dim. */
  get dims(): readonly Dim[] | undefined {
    return this.initializer?.dims ?? (this.type?.kind === 'tensor' ? this.type.dims : undefined);
  }

  /** Position among the outputs of its producer, -1 without one. */
  get outputIndex(): number {
    return this.producer ? this.producer.outputs.indexOf(this) : -1;
  }

  /** Every use by a node, in subgraphs too; a node that takes it twice is listed twice. */
  get uses(): Use[] {
    const uses: Use[] = [];
    for (const node of this.users) {
      node.inputs.forEach((input, index) => {
        if (input === this) uses.push({ node, index });
      });
    }
    return uses;
  }

  /** The only use, when there is exactly one and the value is no graph output. */
  get onlyUse(): Use | undefined {
    if (this.users.size !== 1 || this.isOutput) return undefined;
    const uses = this.uses;
    return uses.length === 1 ? uses[0] : undefined;
  }

  /** Neither used by a node nor an output of its graph. */
  get isUnused(): boolean {
    return this.users.size === 0 && !this.isOutput;
  }

  /** Makes every node that uses this value use `other`. Graph outputs stay: see Graph.replaceOutput. */
  replaceUses(other: Value): void {
    for (const { node, index } of this.uses) node.setInput(index, other);
  }

  /** Throws `usage` when the name is taken in this scope. */
  rename(name: string): void {
    this.graph.renameValue(this, name);
  }

  toString(): string {
    return this.name;
  }
}
