/**
 * A model in memory: the main graph, functions, operator sets and metadata.
 */
import type { FunctionProto, ModelProto } from '../onnx/schema/onnx_pb.js';
import type { Attribute } from './attribute.js';
import { Graph } from './graph.js';
import type { Node } from './node.js';

/** A function of the model: its body is a graph with untyped inputs and opsets of its own. */
export interface ModelFunction {
  readonly domain: string;
  readonly name: string;
  readonly overload: string;
  /** Attributes that a call must give. */
  readonly attributes: readonly string[];
  /** Attributes with a default. */
  readonly defaults: ReadonlyMap<string, Attribute>;
  readonly body: Graph;
  /** The message it was read from, for what pare does not model. */
  readonly origin?: FunctionProto | undefined;
}

export class Model {
  irVersion: number;
  /** Version by operator domain; '' is the standard one. */
  readonly opsets: Map<string, number>;
  readonly graph: Graph;
  readonly functions: ModelFunction[] = [];
  readonly metadata = new Map<string, string>();
  /** For messages: the path or URL it came from. */
  file: string | undefined;
  /** The message it was read from, for what pare does not model (producer, training info ...). */
  origin: ModelProto | undefined;

  constructor(options: {
    irVersion?: number;
    opsets?: Iterable<readonly [string, number]>;
    graph?: Graph;
  }) {
    this.irVersion = options.irVersion ?? 8;
    this.opsets = new Map(options.opsets ?? [['', 17]]);
    this.graph = options.graph ?? new Graph('main');
    this.graph.root = this;
  }

  /** Every node: main graph, subgraphs and function bodies. */
  *allNodes(): Generator<Node> {
    yield* this.graph.allNodes();
    for (const fn of this.functions) yield* fn.body.allNodes();
  }

  /** Every graph: main, subgraphs and function bodies. */
  *allGraphs(): Generator<Graph> {
    yield* this.graph.allGraphs();
    for (const fn of this.functions) yield* fn.body.allGraphs();
  }
}
