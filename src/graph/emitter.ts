/**
 * Writes expressions as nodes of a graph: arithmetic with numbers as operands, constants and equal
 * nodes shared, shapes as constants where they are known and as Shape nodes where they are not.
 * Knows which operators exist and what they take, but nothing of gradients, losses or optimizers.
 */
import { type DataType, dataTypes } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';
import { type Attribute, type AttributeInput, floatAttribute } from './attribute.js';
import type { Graph, Position } from './graph.js';
import type { Value } from './value.js';

/** A value, or a number that becomes a scalar constant of the emitter's float type. */
export type Operand = Value | number;
export type Attributes = Readonly<Record<string, AttributeInput | undefined>>;

export interface EmitterOptions {
  /** Begins the names of nodes and values: `${scope}/Mul`. */
  readonly scope?: string;
  /** Type of the constants that numbers become. Default float. */
  readonly type?: DataType;
  /** Where nodes go: default at the end of the graph. */
  readonly position?: Position | undefined;
  /** Whether ScatterND and ScatterElements may be used, where there is a choice. Default true. */
  readonly scatter?: boolean;
}

/** Of one kernel: the least that WebGPU promises (WebGPU, section 3.6.2). */
const storageBuffers = 8;

/** What emitters of one graph share. */
interface Shared {
  readonly nodes: Map<string, readonly Value[]>;
  count: number;
}

/**
 * @example
 * const e = new Emitter(graph, { scope: 'loss' });
 * const mean = e.reduce('ReduceMean', e.mul(difference, difference), undefined, false);
 */
export class Emitter {
  readonly graph: Graph;
  readonly scope: string;
  readonly type: DataType;
  readonly scatter: boolean;
  readonly #position: Position | undefined;
  readonly #shared: Shared;

  constructor(graph: Graph, options: EmitterOptions = {}, sharing?: Emitter) {
    this.graph = graph;
    this.scope = options.scope ?? 'pare';
    this.type = options.type ?? 'float';
    this.scatter = options.scatter ?? true;
    this.#position = options.position;
    this.#shared = sharing ? sharing.#shared : { nodes: new Map(), count: 0 };
  }

  /** The only output of a node; an equal node that is there already serves again. */
  op(opType: string, inputs: readonly (Operand | undefined)[], attributes: Attributes = {}): Value {
    return this.ops(opType, inputs, 1, attributes)[0]!;
  }

  /** All outputs of a node. `opType` may name a domain: 'com.microsoft:FusedMatMul'. */
  ops(
    opType: string,
    inputs: readonly (Operand | undefined)[],
    outputs: number,
    attributes: Attributes = {},
  ): readonly Value[] {
    const values = inputs.map((input) => (typeof input === 'number' ? this.scalar(input) : input));
    const names = values.map((value) => value?.name ?? '');
    return this.#once([opType, outputs, names, Object.entries(attributes).map(keyOf)], () => {
      const [domain, name] = opType.includes(':') ? opType.split(':') : ['', opType];
      const base = this.#name(name!);
      const node = this.graph.addNode(
        {
          opType: name!,
          domain: domain!,
          name: base,
          inputs: values,
          outputs: Array.from({ length: outputs }, (_, i) =>
            this.graph.freshName(i === 0 ? base : `${base}:${i}`),
          ),
          attributes,
        },
        this.#position,
      );
      return node.outputs as readonly Value[];
    });
  }

  /** A constant; equal small ones are stored once. */
  constant(dataType: DataType, dims: readonly number[], numbers: readonly number[]): Value {
    const make = () => [
      this.graph.addInitializer(
        this.#name(dataType),
        Tensor.of(dataType, dims, dataType === 'int64' ? numbers.map(toBigInt) : numbers),
      ),
    ];
    return numbers.length > 64
      ? make()[0]!
      : this.#once(['constant', dataType, dims, numbers.map(String)], make)[0]!;
  }

  scalar(value: number, type: DataType = this.type): Value {
    return this.constant(type, [], [value]);
  }

  /** A list of int64. */
  ints(...numbers: readonly number[]): Value {
    return this.constant('int64', [numbers.length], numbers);
  }

  add(a: Operand, b: Operand): Value {
    return this.op('Add', [a, b]);
  }

  sub(a: Operand, b: Operand): Value {
    return this.op('Sub', [a, b]);
  }

  mul(a: Operand, b: Operand): Value {
    if (b === 1 && typeof a !== 'number') return a;
    return this.op('Mul', [a, b]);
  }

  div(a: Operand, b: Operand): Value {
    return this.op('Div', [a, b]);
  }

  neg(a: Value): Value {
    return this.op('Neg', [a]);
  }

  square(a: Value): Value {
    return this.mul(a, a);
  }

  where(condition: Value, a: Operand, b: Operand): Value {
    return this.op('Where', [condition, a, b]);
  }

  /** A bool, or any number, in the emitter's float type. */
  cast(value: Value, to: DataType = this.type): Value {
    return value.dataType === to ? value : this.op('Cast', [value], { to: dataTypes[to].code });
  }

  /** Sum of one or more values of one shape. */
  sum(values: readonly Value[]): Value {
    return values.reduce((total, value) => this.add(total, value));
  }

  /** ReduceSum, ReduceMean and the like; over all axes without `axes`. */
  reduce(
    opType: string,
    value: Value,
    axes: readonly number[] | Value | undefined,
    keepdims = true,
  ): Value {
    if (Array.isArray(axes) && axes.length === 0) return value;
    const list = Array.isArray(axes) ? this.ints(...axes) : (axes as Value | undefined);
    return this.op(opType, [value, list], { keepdims: keepdims ? 1 : 0 });
  }

  transpose(value: Value, perm: readonly number[]): Value {
    if (perm.every((axis, at) => axis === at)) return value;
    return this.op('Transpose', [value], { perm });
  }

  /** Swaps the last two of `rank` axes. */
  transposeLast(value: Value, rank: number): Value {
    const perm = Array.from({ length: rank }, (_, axis) => axis);
    return this.transpose(value, [...perm.slice(0, -2), rank - 1, rank - 2]);
  }

  /** Dims as numbers, a list of parts of other shapes among them; -1 may stand for one of them. */
  reshape(value: Value, dims: readonly (number | Value)[]): Value {
    return this.op('Reshape', [value, this.list(dims)]);
  }

  reshapeLike(value: Value, like: Value): Value {
    const isKnown = like.dims?.every((dim) => typeof dim === 'number' && dim > 0);
    // A dim of 0 in a shape would mean "as it was".
    const attributes = isKnown ? {} : { allowzero: 1 };
    return this.op('Reshape', [value, this.shape(like)], attributes);
  }

  unsqueeze(value: Value, axes: readonly number[]): Value {
    return axes.length === 0 ? value : this.op('Unsqueeze', [value, this.ints(...axes)]);
  }

  squeeze(value: Value, axes: readonly number[]): Value {
    return axes.length === 0 ? value : this.op('Squeeze', [value, this.ints(...axes)]);
  }

  expandLike(value: Value, like: Value): Value {
    return this.op('Expand', [value, this.shape(like)]);
  }

  slice(
    value: Value,
    starts: readonly (number | Value)[],
    ends: readonly (number | Value)[],
    axes: readonly number[],
    steps?: readonly number[],
  ): Value {
    const inputs = [value, this.list(starts), this.list(ends), this.ints(...axes)];
    return this.op('Slice', steps ? [...inputs, this.ints(...steps)] : inputs);
  }

  /**
   * The parts of a value along an axis. Many are cut out one by one: Split wants a storage buffer
   * for each, and the runtime does not share them out (its Concat does).
   */
  split(value: Value, sizes: readonly (number | Value)[], axis: number): readonly Value[] {
    if (sizes.length === 1) return [value];
    if (sizes.length < storageBuffers) {
      return this.ops('Split', [value, this.list(sizes)], sizes.length, { axis });
    }
    let from: number | Value = 0;
    return sizes.map((size) => {
      const start = from;
      from = this.addInts(start, size);
      return this.slice(value, [start], [from], [axis]);
    });
  }

  concat(values: readonly Value[], axis: number): Value {
    return values.length === 1 ? values[0]! : this.op('Concat', values, { axis });
  }

  /** Zeros (or another number) of the shape of a value, in the emitter's type. */
  fill(like: Value, number = 0): Value {
    return this.fillShape(this.shape(like), number);
  }

  fillShape(shape: Value, number = 0): Value {
    const value = Tensor.of(this.type, [1], [number]);
    const key = ['ConstantOfShape', this.type, number, shape.name];
    const make = () => {
      const node = this.graph.addNode(
        {
          opType: 'ConstantOfShape',
          name: this.#name('ConstantOfShape'),
          inputs: [shape],
          attributes: { value },
        },
        this.#position,
      );
      return node.outputs as readonly Value[];
    };
    return this.#once(key, make)[0]!;
  }

  /** The shape as a list of int64: a constant where all dims are known. */
  shape(value: Value): Value {
    const dims = value.dims;
    if (dims?.every((dim) => typeof dim === 'number')) return this.ints(...(dims as number[]));
    return this.op('Shape', [value]);
  }

  /** One dim: a number where it is known, a list of one int64 where it is not. */
  dim(value: Value, axis: number): number | Value {
    const dim = value.dims?.at(axis);
    if (typeof dim === 'number') return dim;
    return this.op('Slice', [
      this.shape(value),
      this.ints(axis),
      this.ints(axis === -1 ? Number.MAX_SAFE_INTEGER : axis + 1),
    ]);
  }

  /** Numbers and lists of int64, joined: a constant where all are numbers. */
  list(parts: readonly (number | Value)[]): Value {
    if (parts.every((part) => typeof part === 'number')) return this.ints(...(parts as number[]));
    return this.concat(
      parts.map((part) => (typeof part === 'number' ? this.ints(part) : part)),
      0,
    );
  }

  /** A sum of int64 numbers and lists of one, as `dim` gives them. */
  addInts(a: number | Value, b: number | Value): number | Value {
    if (typeof a === 'number' && typeof b === 'number') return a + b;
    const list = (part: number | Value) => (typeof part === 'number' ? this.ints(part) : part);
    return this.op('Add', [list(a), list(b)]);
  }

  mulInts(a: number | Value, b: number | Value): number | Value {
    if (typeof a === 'number' && typeof b === 'number') return a * b;
    const list = (part: number | Value) => (typeof part === 'number' ? this.ints(part) : part);
    return this.op('Mul', [list(a), list(b)]);
  }

  /** Number of elements, as a float scalar. */
  size(value: Value): Operand {
    const dims = value.dims;
    if (dims?.every((dim) => typeof dim === 'number')) {
      return (dims as number[]).reduce((product, dim) => product * dim, 1);
    }
    return this.cast(this.op('Size', [value]));
  }

  #name(opType: string): string {
    return this.graph.freshName(`${this.scope}/${opType}_${this.#shared.count++}`);
  }

  #once(key: unknown, make: () => readonly Value[]): readonly Value[] {
    const text = JSON.stringify(key);
    let values = this.#shared.nodes.get(text);
    if (!values) {
      values = make();
      this.#shared.nodes.set(text, values);
    }
    return values;
  }
}

/** alpha=1 and the like, which would read as an int. */
export function floats(attributes: Readonly<Record<string, number>>): Record<string, Attribute> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, floatAttribute(value)]),
  );
}

function keyOf([name, value]: [string, AttributeInput | undefined]): unknown {
  if (value instanceof Tensor) return [name, value.dataType, value.dims, textOfTensor(value)];
  const text = (each: unknown) => (typeof each === 'bigint' ? String(each) : each);
  if (Array.isArray(value)) return [name, value.map(text)];
  if (typeof value === 'object' && 'type' in value && 'value' in value) {
    const inner = value.value;
    return [name, value.type, Array.isArray(inner) ? inner.map(text) : text(inner)];
  }
  return [name, text(value)];
}

function textOfTensor(tensor: Tensor): unknown {
  return tensor.content.kind === 'bytes' ? Array.from(tensor.content.bytes) : {};
}

function toBigInt(number: number): bigint {
  return BigInt(number);
}
