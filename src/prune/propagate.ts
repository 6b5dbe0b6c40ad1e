/**
 * Labels every index of every axis of every value of the main graph and lets the rule of each node
 * say which of them hang together. One walk in topological order; nothing is changed.
 * The idea: the coupled slices of a width need no catalogue of patterns, they are what is left of
 * the labels when all operators have spoken.
 */
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { couplingOf } from '../ops/coupling.js';
import { fixAll, type Side, type SplitChoice } from '../ops/coupling-rule.js';
import { LabelSets, type Labels } from './labels.js';
import { ShapeSources } from './shape-sources.js';

/** Why labels are fixed. */
export interface Cause {
  /** A node's label, or 'model output "x"'. */
  readonly by: string;
  readonly reason: string;
}

/** A statistic over an axis of an input: a cut changes it, or nearly so. */
export interface Statistic {
  readonly node: Node;
  readonly input: number;
  readonly axis: number;
  readonly exact: boolean;
}

/** A sum over an axis, which is exact when what is cut is zero in any, or in all, of these inputs. */
export interface Summation {
  readonly node: Node;
  readonly labels: Labels;
  readonly inputs: readonly number[];
  readonly need: 'any' | 'all';
}

export interface Propagation {
  readonly sets: LabelSets;
  readonly labels: ReadonlyMap<Value, readonly Labels[]>;
  readonly statistics: readonly Statistic[];
  readonly sums: readonly Summation[];
  readonly kinds: readonly { readonly labels: Labels; readonly kind: string }[];
  /** Constants, with the side that their axes are on where a rule said so. */
  readonly sides: ReadonlyMap<Value, ReadonlyMap<number, Side>>;
  /** Cause number n is causes[n - 1]. */
  readonly causes: readonly Cause[];
}

export type Dims = ReadonlyMap<Value, readonly number[]>;
export type Numbers = ReadonlyMap<Value, readonly number[]>;

export function propagateLabels(
  model: Model,
  dims: Dims,
  numbers: Numbers,
  split: SplitChoice,
): Propagation {
  return new Propagator(model, dims, numbers, split).run();
}

class Propagator {
  readonly sets = new LabelSets();
  readonly labels = new Map<Value, readonly Labels[]>();
  readonly statistics: Statistic[] = [];
  readonly sums: Summation[] = [];
  readonly kinds: { labels: Labels; kind: string }[] = [];
  readonly sides = new Map<Value, Map<number, Side>>();
  readonly causes: Cause[] = [];
  readonly #causeNumbers = new Map<string, number>();
  readonly #fixedLabels = new Map<number, number>();
  readonly #shapes: ShapeSources;

  constructor(
    readonly model: Model,
    readonly dims: Dims,
    readonly numbers: Numbers,
    readonly split: SplitChoice,
  ) {
    this.#shapes = new ShapeSources(this.labels, numbers, {
      unify: (a, b, by) => this.unify(a, b, by),
      fix: (labels, by, reason) => this.fix(labels, by, reason),
    });
  }

  run(): Propagation {
    const { graph } = this.model;
    for (const value of graph.values) this.#start(value);
    for (const node of graph.nodes) this.#visit(node);
    for (const node of graph.nodes) this.#shapes.fixObserved(node);
    for (const output of graph.outputs) {
      for (const labels of this.labels.get(output) ?? []) {
        this.fix(labels, `model output "${output.name}"`, 'outputs keep their shape');
      }
    }
    return this;
  }

  /** Constants are free to begin with; what comes from outside is fixed. */
  #start(value: Value): void {
    const { constant } = value;
    const dims = this.dims.get(value);
    if (value.isInput || value.sparse) {
      const reason = value.isInput ? 'inputs keep their shape' : 'it is stored sparse';
      const by = value.isInput ? `model input "${value.name}"` : value.name;
      if (dims)
        this.labels.set(
          value,
          dims.map((size) => this.fixed(size, by, reason)),
        );
    } else if (constant) {
      const labels = constant.dims.map((size) => this.sets.fresh(size));
      this.labels.set(value, labels);
      if (constant.dataType === 'string') {
        for (const each of labels) this.fix(each, value.name, 'it holds strings');
      }
    }
  }

  #visit(node: Node): void {
    if (node.outputs.every((output) => !output || this.labels.has(output))) return;
    for (const graph of node.subgraphs) this.#fixCaptured(graph.allNodes(), node);
    const rule = couplingOf(node.op);
    const unknown = [...node.inputs, ...node.outputs].find(
      (value) => value && !this.#isKnown(value),
    );
    const scope = new NodeScope(this, node);
    if (!rule) fixAll(scope, `${node.op} is not known to pare`);
    else if (unknown) fixAll(scope, `the shape of "${unknown.name}" is not known`);
    else {
      rule.couple(scope);
      const odd = scope.misfit();
      if (odd !== undefined) {
        fixAll(scope, `its shapes are not those of ${node.op} (output ${odd})`);
        scope.clear();
      }
    }
    scope.finish();
  }

  #isKnown(value: Value): boolean {
    return this.dims.has(value) || this.labels.has(value);
  }

  #fixCaptured(nodes: Iterable<Node>, owner: Node): void {
    for (const inner of nodes) {
      for (const value of inner.inputs) {
        if (value?.graph !== this.model.graph) continue;
        for (const labels of this.labels.get(value) ?? []) {
          this.fix(labels, owner.label, 'a subgraph uses it');
        }
      }
    }
  }

  unify(a: Labels, b: Labels, by: string): void {
    if (a === b) return;
    if (a.length !== b.length) {
      this.fix(a, by, `it meets an axis of another size (${a.length} and ${b.length})`);
      this.fix(b, by, `it meets an axis of another size (${a.length} and ${b.length})`);
      return;
    }
    for (let i = 0; i < a.length; i++) this.sets.union(a[i]!, b[i]!);
  }

  fix(labels: Labels, by: string, reason: string): void {
    const cause = this.#cause(by, reason);
    for (const label of labels) this.sets.fix(label, cause);
  }

  fixed(length: number, by: string, reason: string): Labels {
    const cause = this.#cause(by, reason);
    let label = this.#fixedLabels.get(cause);
    if (label === undefined) {
      label = this.sets.fresh(1)[0]!;
      this.sets.fix(label, cause);
      this.#fixedLabels.set(cause, label);
    }
    return new Int32Array(length).fill(label);
  }

  sizedBy(node: Node, input: number, entry: number, labels: Labels): void {
    this.#shapes.connect(node, input, entry, labels);
  }

  #cause(by: string, reason: string): number {
    const key = `${by}\n${reason}`;
    let number = this.#causeNumbers.get(key);
    if (number === undefined) {
      number = this.causes.push({ by, reason });
      this.#causeNumbers.set(key, number);
    }
    return number;
  }
}

/** One node, as its rule sees it. */
class NodeScope {
  readonly #outputs: (readonly Labels[] | undefined)[] = [];

  constructor(
    readonly all: Propagator,
    readonly node: Node,
  ) {}

  get split(): SplitChoice {
    return this.all.split;
  }

  has(input: number): boolean {
    return this.node.inputs[input] !== undefined;
  }

  dims(input: number): readonly number[] {
    return this.labels(input).map(({ length }) => length);
  }

  outDims(output = 0): readonly number[] {
    return this.all.dims.get(this.node.output(output)) ?? [];
  }

  dimsOf(value: Value): readonly number[] | undefined {
    return this.all.dims.get(value);
  }

  labels(input: number): readonly Labels[] {
    return this.all.labels.get(this.node.input(input)) ?? [];
  }

  set(labels: readonly Labels[], output = 0): void {
    this.#outputs[output] = labels;
  }

  unify(a: Labels, b: Labels): void {
    this.all.unify(a, b, this.node.label);
  }

  tie(a: number, b: number): void {
    this.all.sets.union(a, b);
  }

  fix(labels: Labels, reason: string): void {
    this.all.fix(labels, this.node.label, reason);
  }

  fixInput(input: number, reason: string): void {
    for (const labels of this.labels(input)) this.fix(labels, reason);
  }

  fixed(length: number, reason = 'it makes this axis'): Labels {
    return this.all.fixed(length, this.node.label, reason);
  }

  free(length: number): Labels {
    return this.all.sets.fresh(length);
  }

  isFixed(label: number): boolean {
    return this.all.sets.isFixed(label);
  }

  root(label: number): number {
    return this.all.sets.find(label);
  }

  side(input: number, axis: number, side: Side): void {
    const value = this.node.input(input);
    if (!value.constant) return;
    const sides = this.all.sides.get(value) ?? new Map<number, Side>();
    // A tied weight can be both; what makes a width names it.
    if (sides.get(axis) !== 'out') sides.set(axis, side);
    this.all.sides.set(value, sides);
  }

  kind(labels: Labels, kind: string): void {
    this.all.kinds.push({ labels, kind });
  }

  sums(labels: Labels, inputs: readonly number[], need: 'any' | 'all'): void {
    this.all.sums.push({ node: this.node, labels, inputs, need });
  }

  normalizes(input: number, axis: number, exact: boolean): void {
    this.all.statistics.push({ node: this.node, input, axis, exact });
  }

  numbers(input: number): readonly number[] | undefined {
    const value = this.node.inputs[input];
    return value && this.all.numbers.get(value);
  }

  sizedBy(input: number, entry: number, labels: Labels): void {
    this.all.sizedBy(this.node, input, entry, labels);
  }

  /** The first output whose labels do not fit its dims. */
  misfit(): number | undefined {
    const found = this.#outputs.findIndex((labels, output) => {
      if (!labels || !this.node.outputs[output]) return false;
      const dims = this.outDims(output);
      return (
        dims.length !== labels.length || dims.some((size, axis) => labels[axis]?.length !== size)
      );
    });
    return found < 0 ? undefined : found;
  }

  clear(): void {
    this.#outputs.length = 0;
  }

  finish(): void {
    this.node.outputs.forEach((output, index) => {
      if (!output) return;
      const labels =
        this.#outputs[index] ?? this.all.dims.get(output)?.map((size) => this.fixed(size));
      if (labels) this.all.labels.set(output, labels);
    });
  }
}
