/** Reads attributes of nodes from the textual form; the counterpart of attribute-text.ts. */
import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  AttributeProto_AttributeType as Kind,
  type SparseTensorProto,
  type TensorProto,
  type TypeProto,
  TypeProtoSchema,
} from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import { attributeTypeNames } from './attribute-text.js';
import { parseContent, parseSparse, seesContent, toNumber } from './parse-tensor.js';
import { parseType } from './parse-type.js';
import { isInteger, type Scanner } from './scanner.js';
import { numberWords, typeWords } from './text-literals.js';
import { typeToProto, type ValueType } from './value-type.js';

/** What attributes need of the reader around them. */
export interface AttributeContext {
  /** Reads a graph. */
  graph(): GraphProto;
  /** Registers the content of a tensor and gives the message that stands for it. */
  tensor(tensor: Tensor, name: string): TensorProto;
}

type Item =
  | { readonly kind: Kind.INT; readonly value: bigint }
  | { readonly kind: Kind.FLOAT; readonly value: number }
  | { readonly kind: Kind.STRING; readonly value: Uint8Array }
  | { readonly kind: Kind.TENSOR; readonly value: TensorProto }
  | { readonly kind: Kind.GRAPH; readonly value: GraphProto }
  | { readonly kind: Kind.SPARSE_TENSOR; readonly value: SparseTensorProto }
  | { readonly kind: Kind.TYPE_PROTO; readonly value: TypeProto };

/** Fields of the message by kind of item: for one of them, and for a list. */
const fields = {
  [Kind.INT]: { one: 'i', list: 'ints', listKind: Kind.INTS },
  [Kind.FLOAT]: { one: 'f', list: 'floats', listKind: Kind.FLOATS },
  [Kind.STRING]: { one: 's', list: 'strings', listKind: Kind.STRINGS },
  [Kind.TENSOR]: { one: 't', list: 'tensors', listKind: Kind.TENSORS },
  [Kind.GRAPH]: { one: 'g', list: 'graphs', listKind: Kind.GRAPHS },
  [Kind.SPARSE_TENSOR]: {
    one: 'sparseTensor',
    list: 'sparseTensors',
    listKind: Kind.SPARSE_TENSORS,
  },
  [Kind.TYPE_PROTO]: { one: 'tp', list: 'typeProtos', listKind: Kind.TYPE_PROTOS },
} as const;

const kindsByName = new Map(Array.from(attributeTypeNames, ([kind, name]) => [name, kind as Kind]));

/** `<name = value, name: type = value>` */
export function parseAttributes(scanner: Scanner, context: AttributeContext): AttributeProto[] {
  const attributes: AttributeProto[] = [];
  scanner.expect('<');
  while (!scanner.sees('>')) {
    const token = scanner.peek();
    const name = scanner.name('the name of an attribute');
    if (attributes.some((attribute) => attribute.name === name)) {
      scanner.failAt(token.at, `the attribute ${name} is given twice`);
    }
    attributes.push(parseAttributeTail(scanner, name, context));
    if (!scanner.accepts(',')) break;
  }
  if (!scanner.accepts('>')) scanner.fail('"," or ">"');
  return attributes;
}

/** What follows the name of an attribute: `: type = value`. */
export function parseAttributeTail(
  scanner: Scanner,
  name: string,
  context: AttributeContext,
): AttributeProto {
  const expected = scanner.accepts(':') ? parseKind(scanner) : undefined;
  scanner.expect('=');
  const { at } = scanner.peek();
  const proto = create(AttributeProtoSchema, { name });
  if (scanner.accepts('@')) {
    if (expected === undefined) {
      scanner.failAt(at, `a reference needs its type: ${name}: float = @${name}`);
    }
    proto.refAttrName = scanner.name('the name of an attribute');
    proto.type = expected;
    return proto;
  }
  if (!scanner.sees('[')) {
    const item = convert(scanner, parseItem(scanner, context), expected, at);
    return Object.assign(proto, { type: item.kind, [fields[item.kind].one]: item.value });
  }
  const { kind, items } = parseList(scanner, context, itemKind(expected), at);
  const { list, listKind } = fields[kind];
  if (expected !== undefined && expected !== listKind) {
    scanner.failAt(at, `a list is no ${attributeTypeNames.get(expected)}`);
  }
  return Object.assign(proto, { type: listKind, [list]: items.map(({ value }) => value) });
}

function parseKind(scanner: Scanner): Kind {
  const token = scanner.peek();
  const kind = kindsByName.get(scanner.word('a type of attribute such as ints'));
  return kind ?? scanner.fail(`one of ${[...kindsByName.keys()].join(', ')}`, token);
}

/** The kind of the items of a list, the kind itself for one that is no list. */
function itemKind(kind: Kind | undefined): Item['kind'] | undefined {
  for (const [item, { listKind }] of Object.entries(fields)) {
    if (kind === listKind || kind === Number(item)) return Number(item) as Item['kind'];
  }
  return undefined;
}

function parseList(
  scanner: Scanner,
  context: AttributeContext,
  expected: Item['kind'] | undefined,
  at: number,
): { kind: Item['kind']; items: Item[] } {
  const items: Item[] = [];
  scanner.expect('[');
  while (!scanner.sees(']')) {
    const start = scanner.peek().at;
    const kind = expected ?? items[0]?.kind;
    items.push(convert(scanner, parseItem(scanner, context), kind, start));
    if (!scanner.accepts(',')) break;
  }
  if (!scanner.accepts(']')) scanner.fail('"," or "]"');
  const kind = expected ?? items[0]?.kind;
  return kind === undefined
    ? scanner.failAt(at, 'an empty list needs its type: name: ints = []')
    : { kind, items };
}

/** An integer where a float is expected is one; nothing else is converted. */
function convert(scanner: Scanner, item: Item, expected: Kind | undefined, at: number): Item {
  if (expected === undefined || item.kind === expected) return item;
  if (expected === Kind.FLOAT && item.kind === Kind.INT) {
    return { kind: Kind.FLOAT, value: Math.fround(Number(item.value)) };
  }
  const [given, wanted] = [item.kind, expected].map((kind) => attributeTypeNames.get(kind));
  return scanner.failAt(at, `expected ${wanted}, found ${given}`);
}

function parseItem(scanner: Scanner, context: AttributeContext): Item {
  const token = scanner.peek();
  if (token.kind === 'string' && !scanner.sees('(', 1)) {
    return { kind: Kind.STRING, value: scanner.bytes('a string') };
  }
  if (token.kind === 'number' && isInteger(token.text)) {
    return { kind: Kind.INT, value: checkInt64(scanner, scanner.integer('a number'), token.at) };
  }
  const isNumberWord = token.kind === 'word' && numberWords.has(token.text.toLowerCase());
  if (token.kind === 'number' || isNumberWord) {
    return { kind: Kind.FLOAT, value: Math.fround(toNumber(scanner.numeral('a number'))) };
  }
  if (token.kind !== 'string' && token.kind !== 'word') {
    return scanner.fail('a number, a string, a tensor, a type, a graph or @name');
  }
  if (token.kind === 'word' && typeWords.has(token.text)) return parseTyped(scanner, context);
  return { kind: Kind.GRAPH, value: context.graph() };
}

/** A tensor when content follows the type, else the type itself. */
function parseTyped(scanner: Scanner, context: AttributeContext): Item {
  const type = parseType(scanner);
  // A tensor may carry a name of its own, which means nothing to a node.
  const named = ['word', 'string'].includes(scanner.peek().kind) && !seesContent(scanner);
  if (named) scanner.next();
  const isContent = scanner.accepts('=') || named || seesContent(scanner);
  if (!isContent) return { kind: Kind.TYPE_PROTO, value: typeMessage(type) };
  if (type?.kind === 'sparse-tensor') {
    return { kind: Kind.SPARSE_TENSOR, value: parseSparse(scanner, type) };
  }
  return { kind: Kind.TENSOR, value: context.tensor(parseContent(scanner, type), '') };
}

function typeMessage(type: ValueType | undefined): TypeProto {
  return type ? typeToProto(type) : create(TypeProtoSchema);
}

function checkInt64(scanner: Scanner, value: bigint, at: number): bigint {
  if (BigInt.asIntN(64, value) !== value) scanner.failAt(at, `${value} does not fit int64`);
  return value;
}
