/**
 * What a table row says of an operator's gradient, and what a rule is given to write it with.
 * A rule sees one node; which nodes are looked at, and in which order, is not its business.
 */
import { Emitter } from '../../graph/emitter.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import type { DataType } from '../../onnx/data-type.js';
import { Tensor } from '../../onnx/tensor.js';

/** Writes the gradient of one input; called only when somebody needs it. */
export type InputGradient = () => Value;

/**
 * The gradients of the inputs, by their place; a hole where the output does not depend smoothly
 * on the input (an index, a shape, a condition), which is a gradient of zero.
 */
export type GradientRule = (
  g: GradientEmitter,
  node: Node,
) => readonly (InputGradient | undefined)[];

/**
 * Writes what the node computes in operators that have gradients; gives its outputs by place,
 * holes for those that nobody uses. Its input types are known, as far as the runtime infers.
 */
export type Expansion = (e: Emitter, node: Node) => readonly (Value | undefined)[];

export type OperatorGradient =
  | {
      readonly kind: 'rule';
      readonly rule: GradientRule;
      /** Its output or input holds rounded numbers, through which the gradient passes. */
      readonly quantized?: boolean;
      /** The inputs on whose numbers the outputs depend; default all of them. */
      readonly inputs?: readonly number[];
    }
  | { readonly kind: 'expand'; readonly expand: Expansion }
  /** Constant between jumps, or no number at all: the gradient is zero. */
  | { readonly kind: 'stops'; readonly reason: string }
  | { readonly kind: 'unsupported'; readonly reason: string };

export type GradientTable = Readonly<Record<string, OperatorGradient>>;

export function rule(write: GradientRule, inputs?: readonly number[]): OperatorGradient {
  return Object.freeze({ kind: 'rule', rule: write, ...(inputs && { inputs }) });
}

export function expand(write: Expansion): OperatorGradient {
  return Object.freeze({ kind: 'expand', expand: write });
}

export function stops(reason: string): OperatorGradient {
  return Object.freeze({ kind: 'stops', reason });
}

export function unsupported(reason: string): OperatorGradient {
  return Object.freeze({ kind: 'unsupported', reason });
}

/** Says that this node, as it is set up, has no gradient; the driver reports it with the node. */
export class NoGradient extends Error {
  override readonly name = 'NoGradient';
}

export interface GradientContext {
  readonly node: Node;
  /** Gradients of the outputs; undefined where zero. */
  readonly outputGradients: readonly (Value | undefined)[];
  readonly type: DataType;
  readonly scatter: boolean;
  /** The value in the type in which gradients are computed. */
  readonly widen: (value: Value) => Value;
}

/** An emitter at the end of the graph, for the gradient of one node. */
export class GradientEmitter extends Emitter {
  readonly #context: GradientContext;

  constructor(context: GradientContext, sharing: Emitter) {
    const { node, type, scatter } = context;
    super(node.graph!, { scope: `gradient/${node.label}`, type, scatter }, sharing);
    this.#context = context;
  }

  /** An input of the node, in the type of the gradients where it is a float tensor. */
  input(index = 0): Value {
    return this.#context.widen(this.#context.node.input(index));
  }

  output(index = 0): Value {
    return this.#context.widen(this.#context.node.output(index));
  }

  /** The gradient of an output, zeros where nothing depends on it. */
  grad(index = 0): Value {
    return this.#context.outputGradients[index] ?? this.fill(this.#context.node.output(index));
  }

  hasGrad(index: number): boolean {
    return this.#context.outputGradients[index] !== undefined;
  }

  /** An output that the forward node can give and does not yet; the node is made to give it. */
  extraOutput(index: number, name: string): Value {
    const { node } = this.#context;
    if (!node.outputs[index]) {
      node.setOutput(index, this.graph.addValue(this.graph.freshName(`${node.label}/${name}`)));
    }
    return node.output(index);
  }

  rankOf(value: Value): number {
    const { dims } = value;
    if (dims) return dims.length;
    throw new NoGradient(`the rank of "${value.name}" is not known`);
  }

  /** The dims of a value from an axis on, all of which must be fixed. */
  staticDims(value: Value, from = 0): number[] {
    const dims = value.dims?.slice(from);
    if (dims?.every((dim) => typeof dim === 'number')) return dims as number[];
    throw new NoGradient(
      `the dims of "${value.name}" are not fixed: [${value.dims?.map((dim) => dim ?? '?') ?? '?'}]`,
    );
  }

  /** Sums a value of the shape of `from` over what broadcasting repeated of `to`. */
  sumTo(value: Value, from: Value, to: Value): Value {
    const [source, target] = [from.dims, to.dims];
    if (!source || !target) return this.#sumToAtRunTime(value, to, undefined);
    const lead = source.length - target.length;
    const repeated: number[] = [];
    let open = false;
    source.forEach((dim, axis) => {
      const own = axis < lead ? 1 : target[axis - lead];
      if (own === 1) {
        if (dim !== 1) repeated.push(axis);
      } else if (typeof own !== 'number' && !(own !== undefined && own === dim)) open = true;
    });
    if (open) return this.#sumToAtRunTime(value, to, lead);
    // Leading dims of 1 repeat nothing and still have to go.
    if (repeated.length === 0) return lead > 0 ? this.reshapeLike(value, to) : value;
    const sum = this.reduce(
      'ReduceSum',
      value,
      repeated,
      repeated.some((axis) => axis >= lead),
    );
    return repeated.some((axis) => axis >= lead) || repeated.length !== lead
      ? this.reshapeLike(sum, to)
      : sum;
  }

  /** Which axes were repeated only shows in a run: those whose dims differ. */
  #sumToAtRunTime(value: Value, to: Value, lead: number | undefined): Value {
    const [shape, own] = [this.op('Shape', [value]), this.shape(to)];
    const missing =
      lead === undefined
        ? this.op('Sub', [this.op('Shape', [shape]), this.op('Shape', [own])])
        : this.ints(lead);
    const one = Tensor.of('int64', [1], [1]);
    const padded = this.concat([this.op('ConstantOfShape', [missing], { value: one }), own], 0);
    const differs = this.op('Not', [this.op('Equal', [padded, shape])]);
    const axes = this.reshape(this.op('NonZero', [differs]), [-1]);
    const sum = this.op('ReduceSum', [value, axes], { keepdims: 1, noop_with_empty_axes: 1 });
    return this.reshapeLike(sum, to);
  }
}
