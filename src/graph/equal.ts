/**
 * Structural equality of models: the first difference in words. Compares what a model means, not
 * how its file stores it, nor what only describes it (producer, doc strings, metadata of nodes).
 */
import type { SparseTensorProto } from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import type { Attribute } from './attribute.js';
import { attributeValue, type PlainAttribute } from './attribute-text.js';
import { firstDifference } from './content.js';
import type { Graph } from './graph.js';
import type { Model, ModelFunction } from './model.js';
import type { Node } from './node.js';
import { sparseParts } from './sparse.js';
import { operatorText } from './text-literals.js';
import { typeText } from './type-text.js';
import type { Value } from './value.js';
import { sameType, tensorType, type ValueType } from './value-type.js';

type Difference = Promise<string | undefined>;

/**
 * Where and how `b` differs from `a`, undefined when they are equal. Nodes are compared in order;
 * initializers, attributes, opsets, functions and metadata by name. The content of weights is
 * compared bit for bit, a piece at a time; throws `io` where one cannot be read.
 * @example
 * await differenceOf(a, b); // 'graph "main": node 3 (Conv "c1"): attribute strides: [1, 1] and [2, 2]'
 */
export async function differenceOf(a: Model, b: Model): Difference {
  return (
    pair('IR version', a.irVersion, b.irVersion) ??
    entries('opset of domain', a.opsets, b.opsets) ??
    entries('metadata', a.metadata, b.metadata) ??
    (await graphs(`graph "${a.graph.name}"`, a.graph, b.graph)) ??
    (await functions(a.functions, b.functions))
  );
}

function pair(what: string, a: unknown, b: unknown): string | undefined {
  return a === b ? undefined : `${what}: ${shown(a)} and ${shown(b)}`;
}

function shown(value: unknown): string {
  if (value === undefined) return 'none';
  return typeof value === 'string' ? `"${value}"` : String(value);
}

function entries<Item>(
  what: string,
  a: ReadonlyMap<string, Item>,
  b: ReadonlyMap<string, Item>,
): string | undefined {
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    const difference = pair(`${what} "${key}"`, a.get(key), b.get(key));
    if (difference) return difference;
  }
  return undefined;
}

async function functions(a: readonly ModelFunction[], b: readonly ModelFunction[]): Difference {
  const byId = (list: readonly ModelFunction[]) =>
    new Map(list.map((fn) => [operatorText(fn.domain, fn.name, fn.overload), fn]));
  const [left, right] = [byId(a), byId(b)];
  for (const id of new Set([...left.keys(), ...right.keys()])) {
    const [one, other] = [left.get(id), right.get(id)];
    if (!one || !other) return `function ${id} is only in the ${one ? 'first' : 'second'} model`;
    const where = `function ${id}`;
    const difference =
      pair(`${where}: attributes`, String(one.attributes), String(other.attributes)) ??
      entries(`${where}: opset`, one.body.opsets ?? new Map(), other.body.opsets ?? new Map()) ??
      (await attributes(`${where}: default`, one.defaults, other.defaults)) ??
      (await graphs(where, one.body, other.body));
    if (difference) return difference;
  }
  return undefined;
}

async function graphs(where: string, a: Graph, b: Graph): Difference {
  return (
    pair(`${where}: name`, a.name, b.name) ??
    ports(`${where}: input`, a.inputs, b.inputs) ??
    ports(`${where}: output`, a.outputs, b.outputs) ??
    (await nodes(where, a, b)) ??
    (await initializers(where, a, b)) ??
    annotations(where, a, b)
  );
}

function ports(what: string, a: readonly Value[], b: readonly Value[]): string | undefined {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = pair(`${what} ${i}`, a[i]?.name, b[i]?.name) ?? types(what, a[i]!, b[i]!);
    if (difference) return difference;
  }
  return undefined;
}

function types(what: string, a: Value, b: Value): string | undefined {
  const [one, other] = [typeOf(a), typeOf(b)];
  if (sameType(one, other)) return undefined;
  const text = (type: ValueType | undefined) => (type ? typeText(type) : 'none');
  return `${what}: type of "${a.name}": ${text(one)} and ${text(other)}`;
}

/** An initializer has the type of its content, whether the file says so or not. */
function typeOf({ type, initializer }: Value): ValueType | undefined {
  return type ?? (initializer && tensorType(initializer.dataType, initializer.dims));
}

async function nodes(where: string, a: Graph, b: Graph): Difference {
  const others = b.nodes[Symbol.iterator]();
  let index = 0;
  for (const node of a.nodes) {
    const other = others.next().value;
    const place = `${where}: node ${index++} (${node})`;
    if (!other) return `${place} is only in the first model`;
    const difference =
      pair(`${place}: operator`, operatorOf(node), operatorOf(other)) ??
      pair(`${place}: name`, node.name, other.name) ??
      operands(`${place}: input`, node.inputs, other.inputs) ??
      operands(`${place}: output`, node.outputs, other.outputs) ??
      outputTypes(place, node, other) ??
      (await attributes(`${place}: attribute`, node.attributes, other.attributes));
    if (difference) return difference;
  }
  const extra = others.next().value;
  return extra && `${where}: node ${index} (${extra}) is only in the second model`;
}

function operatorOf(node: Node): string {
  return operatorText(node.domain, node.opType, node.overload);
}

function operands(
  what: string,
  a: readonly (Value | undefined)[],
  b: readonly (Value | undefined)[],
): string | undefined {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = pair(`${what} ${i}`, a[i]?.name, b[i]?.name);
    if (difference) return difference;
  }
  return undefined;
}

function outputTypes(place: string, a: Node, b: Node): string | undefined {
  for (const [index, output] of a.outputs.entries()) {
    const difference = output && types(`${place}: output ${index}`, output, b.outputs[index]!);
    if (difference) return difference;
  }
  return undefined;
}

async function attributes(
  what: string,
  a: ReadonlyMap<string, Attribute>,
  b: ReadonlyMap<string, Attribute>,
): Difference {
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const [one, other] = [a.get(name), b.get(name)];
    if (!one || !other) return `${what} ${name} is only in the ${one ? 'first' : 'second'} model`;
    const difference = await attributePair(`${what} ${name}`, one, other);
    if (difference) return difference;
  }
  return undefined;
}

async function attributePair(what: string, a: Attribute, b: Attribute): Difference {
  if (a.type !== b.type) return pair(`${what}: type`, a.type, b.type);
  if (a.type === 'graph') return graphs(what, a.value, b.value as Graph);
  if (a.type === 'graphs') return each(what, a.value, b.value as Graph[], graphs);
  if (a.type === 'tensor') return tensors(what, a.value, b.value as Tensor);
  if (a.type === 'tensors') return each(what, a.value, b.value as Tensor[], tensors);
  if (a.type === 'sparse-tensor') return sparse(what, a.value, b.value as SparseTensorProto);
  if (a.type === 'sparse-tensors')
    return each(what, a.value, b.value as SparseTensorProto[], sparse);
  if (a.type === 'reference') {
    const codes = pair(`${what}: type`, a.typeCode, (b as typeof a).typeCode);
    if (codes) return codes;
  }
  // What is left holds no tensors: its text tells everything.
  const texts = [a, b].map((attribute) => attributeValue(attribute as PlainAttribute, 'full'));
  const [one, other] = await Promise.all(texts);
  return one === other ? undefined : `${what}: ${one} and ${other}`;
}

async function each<Item>(
  what: string,
  a: readonly Item[],
  b: readonly Item[],
  compare: (what: string, a: Item, b: Item) => Difference,
): Difference {
  if (a.length !== b.length) return pair(`${what}: number of items`, a.length, b.length);
  for (const [index, item] of a.entries()) {
    const difference = await compare(`${what}[${index}]`, item, b[index]!);
    if (difference) return difference;
  }
  return undefined;
}

async function initializers(where: string, a: Graph, b: Graph): Difference {
  const byName = (graph: Graph) => new Map(graph.initializers.map((value) => [value.name, value]));
  const [left, right] = [byName(a), byName(b)];
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const [one, other] = [left.get(name), right.get(name)];
    const what = `${where}: initializer "${name}"`;
    if (!one || !other) return `${what} is only in the ${one ? 'first' : 'second'} model`;
    const difference = types(what, one, other) ?? (await contents(what, one, other));
    if (difference) return difference;
  }
  return undefined;
}

async function contents(what: string, a: Value, b: Value): Difference {
  if (a.initializer && b.initializer) return tensors(what, a.initializer, b.initializer);
  if (a.initializer || b.initializer) {
    return `${what} is sparse in the ${a.initializer ? 'second' : 'first'} model only`;
  }
  return sparse(what, a.sparse!, b.sparse!);
}

async function tensors(what: string, a: Tensor, b: Tensor): Difference {
  const difference =
    pair(`${what}: data type`, a.dataType, b.dataType) ??
    pair(`${what}: dims`, `[${a.dims}]`, `[${b.dims}]`);
  if (difference) return difference;
  const at = await firstDifference(a, b);
  return at === undefined ? undefined : `${what}: contents differ, first at element ${at}`;
}

async function sparse(what: string, a: SparseTensorProto, b: SparseTensorProto): Difference {
  const [one, other] = [sparseParts(a), sparseParts(b)];
  return (
    pair(`${what}: dims`, `[${one.dims}]`, `[${other.dims}]`) ??
    (await tensors(`${what}: values`, one.values, other.values)) ??
    (await tensors(`${what}: indices`, one.indices, other.indices))
  );
}

function annotations(where: string, a: Graph, b: Graph): string | undefined {
  const texts = (graph: Graph) =>
    new Map(
      graph.quantizationAnnotations.map(({ value, parameters }) => [
        value.name,
        parameters.map(([key, parameter]) => `${key}=${parameter}`).join(', '),
      ]),
    );
  return entries(`${where}: quantization annotation of`, texts(a), texts(b));
}
