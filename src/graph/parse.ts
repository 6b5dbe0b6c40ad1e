/**
 * Reads models from their textual form, the counterpart of print.ts. Handwritten texts may leave
 * the header out and describe weights instead of listing them; docs/text-form.md has the rules.
 * The text becomes messages of the file format, and those a graph, with the checks of files.
 */
import { create } from '@bufbuild/protobuf';
import {
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type OperatorSetIdProto,
  OperatorSetIdProtoSchema,
  type StringStringEntryProto,
  StringStringEntryProtoSchema,
  TensorAnnotationSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import { modelFromProto } from './from-proto.js';
import { Model } from './model.js';
import { parseAttributes, parseAttributeTail } from './parse-attribute.js';
import { parseContent, parseSparse } from './parse-tensor.js';
import { parseType, seesType } from './parse-type.js';
import { Scanner } from './scanner.js';
import { typeToProto, type ValueType } from './value-type.js';

/**
 * Throws `usage` with line and column where the text breaks the grammar, and `invalid-model`
 * where the model is none (a name that is not defined, a cycle).
 * @example
 * const model = parseModel(`
 *   main (float[N,3] x) => (float[N,2] y)
 *   < float[3,2] w = normal(seed=1, std=0.1) >
 *   { y = MatMul(x, w) }
 * `);
 */
export function parseModel(text: string): Model {
  const reader = new ModelReader(text);
  const proto = reader.model();
  return modelFromProto(proto, (tensor) => reader.tensors.get(tensor)!);
}

/** Graphs inside graphs: deeper ones are refused before they can fill the stack. */
const maxDepth = 64;

class ModelReader {
  /** Content of the tensors in the messages. */
  readonly tensors = new Map<TensorProto, Tensor>();
  readonly #scanner: Scanner;
  #depth = 0;

  constructor(text: string) {
    this.#scanner = new Scanner(text);
  }

  model(): ModelProto {
    const defaults = new Model({});
    const proto = create(ModelProtoSchema, {
      irVersion: BigInt(defaults.irVersion),
      opsetImport: Array.from(defaults.opsets, ([domain, version]) => opset(domain, version)),
    });
    this.#header({
      ir_version: () => (proto.irVersion = this.#scanner.integer('the IR version')),
      opset_import: () => (proto.opsetImport = this.#opsets()),
      producer_name: () => (proto.producerName = this.#scanner.text('a string')),
      producer_version: () => (proto.producerVersion = this.#scanner.text('a string')),
      domain: () => (proto.domain = this.#scanner.text('a string')),
      model_version: () => (proto.modelVersion = this.#scanner.integer('a whole number')),
      doc_string: () => (proto.docString = this.#scanner.text('a string')),
      metadata_props: () => (proto.metadataProps = this.#pairs()),
    });
    proto.graph = this.graph();
    while (this.#scanner.peek().kind !== 'end') proto.functions.push(this.#function());
    return proto;
  }

  /** `name (inputs) => (outputs) <initializers and types> { nodes }` */
  readonly graph = (): GraphProto => {
    const scanner = this.#scanner;
    const { at } = scanner.peek();
    const proto = create(GraphProtoSchema, { name: scanner.name('the name of a graph') });
    if (++this.#depth > maxDepth) {
      scanner.failAt(at, `graphs are nested deeper than ${maxDepth}`);
    }
    proto.input = this.#list('(', ')', () => {
      const { info, type } = this.#port();
      if (scanner.accepts('=')) this.#content(proto, info.name, type);
      return info;
    });
    scanner.expect('=>');
    proto.output = this.#list('(', ')', () => this.#port().info);
    if (scanner.sees('<')) this.#list('<', '>', () => this.#extra(proto));
    proto.node = this.#nodes();
    this.#depth--;
    return proto;
  };

  /** An initializer, the type of a value, or a quantization annotation. */
  #extra(proto: GraphProto): void {
    const scanner = this.#scanner;
    if (scanner.accepts('@')) {
      const tensorName = scanner.name('the name of a value');
      scanner.expect(':');
      proto.quantizationAnnotation.push(
        create(TensorAnnotationSchema, { tensorName, quantParameterTensorNames: this.#pairs() }),
      );
      return;
    }
    const { info, type } = this.#port();
    if (scanner.accepts('=')) this.#content(proto, info.name, type);
    else proto.valueInfo.push(info);
  }

  #content(proto: GraphProto, name: string, type: ValueType | undefined): void {
    if (type?.kind === 'sparse-tensor') {
      const sparse = parseSparse(this.#scanner, type);
      sparse.values!.name = name;
      proto.sparseInitializer.push(sparse);
    } else {
      proto.initializer.push(this.tensor(parseContent(this.#scanner, type), name));
    }
  }

  /** A message that stands for the tensor, whose content stays beside it. */
  readonly tensor = (tensor: Tensor, name: string): TensorProto => {
    const proto = create(TensorProtoSchema, { name });
    this.tensors.set(proto, tensor);
    return proto;
  };

  /** A value with its type, where one is given. */
  #port(): { info: ValueInfoProto; type: ValueType | undefined } {
    const type = seesType(this.#scanner) ? parseType(this.#scanner) : undefined;
    const info = create(ValueInfoProtoSchema, {
      name: this.#scanner.name('a type such as float[N,3], or the name of a value'),
      ...(type && { type: typeToProto(type) }),
    });
    return { info, type };
  }

  #nodes(): NodeProto[] {
    this.#scanner.expect('{');
    const nodes: NodeProto[] = [];
    while (!this.#scanner.accepts('}')) nodes.push(this.#node());
    return nodes;
  }

  /** `[name] outputs = domain.Op:overload <attributes> (inputs)`, attributes before or after. */
  #node(): NodeProto {
    const scanner = this.#scanner;
    const proto = create(NodeProtoSchema);
    if (scanner.accepts('[')) {
      proto.name = scanner.sees(']') ? '' : scanner.name('the name of a node');
      scanner.expect(']');
    }
    proto.output = this.#names('=', 'a node such as y = Relu(x), or "}"');
    scanner.expect('=');
    const path = [scanner.name('an operator')];
    while (scanner.accepts('.')) path.push(scanner.name('an operator'));
    proto.opType = path.pop()!;
    proto.domain = path.join('.');
    if (scanner.accepts(':')) proto.overload = scanner.name('an overload');
    if (scanner.sees('<')) proto.attribute = parseAttributes(scanner, this);
    scanner.expect('(');
    proto.input = this.#names(')', 'the name of an input, or ")"');
    scanner.expect(')');
    if (proto.attribute.length === 0 && scanner.sees('<')) {
      proto.attribute = parseAttributes(scanner, this);
    }
    return proto;
  }

  /** Names up to a symbol. A hole is "" or nothing before a comma; a last comma has no meaning. */
  #names(end: string, expected: string): string[] {
    const scanner = this.#scanner;
    const names: string[] = [];
    while (!scanner.sees(end)) {
      names.push(scanner.sees(',') ? '' : scanner.name(expected));
      if (!scanner.accepts(',')) break;
    }
    return names;
  }

  /** `<header> name <attributes> (inputs) => (outputs) <types> { nodes }` */
  #function(): FunctionProto {
    const scanner = this.#scanner;
    const proto = create(FunctionProtoSchema);
    this.#header({
      domain: () => (proto.domain = scanner.text('a string')),
      overload: () => (proto.overload = scanner.text('a string')),
      opset_import: () => (proto.opsetImport = this.#opsets()),
      doc_string: () => (proto.docString = scanner.text('a string')),
    });
    proto.name = scanner.name('the name of a function');
    if (scanner.sees('<')) {
      this.#list('<', '>', () => {
        const name = scanner.name('the name of an attribute');
        const hasDefault = scanner.sees('=') || scanner.sees(':');
        if (hasDefault) proto.attributeProto.push(parseAttributeTail(scanner, name, this));
        else proto.attribute.push(name);
      });
    }
    const port = () => {
      const { info } = this.#port();
      if (info.type) proto.valueInfo.push(info);
      return info.name;
    };
    proto.input = this.#list('(', ')', port);
    scanner.expect('=>');
    proto.output = this.#list('(', ')', port);
    if (scanner.sees('<')) this.#list('<', '>', port);
    proto.node = this.#nodes();
    return proto;
  }

  /** `<key: value, ...>` where each key has a reader. */
  #header(readers: Readonly<Record<string, () => unknown>>): void {
    if (!this.#scanner.sees('<')) return;
    const known = Object.keys(readers).join(', ');
    this.#list('<', '>', () => {
      const token = this.#scanner.peek();
      const key = this.#scanner.word(`one of ${known}`);
      if (!Object.hasOwn(readers, key)) this.#scanner.fail(`one of ${known}`, token);
      this.#scanner.expect(':');
      readers[key]!();
    });
  }

  #opsets(): OperatorSetIdProto[] {
    return this.#list('[', ']', () => {
      const domain = this.#scanner.text('a domain in quotes');
      this.#scanner.expect(':');
      return opset(domain, this.#scanner.integer('a version'));
    });
  }

  #pairs(): StringStringEntryProto[] {
    return this.#list('[', ']', () => {
      const key = this.#scanner.text('a key in quotes');
      this.#scanner.expect(':');
      const value = this.#scanner.text('a value in quotes');
      return create(StringStringEntryProtoSchema, { key, value });
    });
  }

  /** Items between brackets with commas between them. */
  #list<Item>(open: string, close: string, item: () => Item): Item[] {
    this.#scanner.expect(open);
    const items: Item[] = [];
    if (this.#scanner.accepts(close)) return items;
    do items.push(item());
    while (this.#scanner.accepts(','));
    if (!this.#scanner.accepts(close)) this.#scanner.fail(`"," or "${close}"`);
    return items;
  }
}

function opset(domain: string, version: number | bigint): OperatorSetIdProto {
  return create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) });
}
