/**
 * Throw-away variants of a model that make a runtime tell types and shapes: large weights become
 * graph inputs of the same type and dims, and any value can become an output. Never changes the
 * message it is given; runs nothing.
 */
import { create } from '@bufbuild/protobuf';
import { tensorType, typeFromProto, typeToProto, type ValueType } from '../graph/value-type.js';
import type { ModelMessage } from '../onnx/contents.js';
import {
  byteLengthOf,
  type DataType,
  dataTypeFromCode,
  dataTypes,
  elementCount,
} from '../onnx/data-type.js';
import {
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/schema/onnx_pb.js';
import { isOrtType } from './ort-types.js';

/** Weights up to here stay: shapes that Reshape, Slice or Pad read are this small. */
const smallBytes = 1024;

/** A model without its weights, and what the file itself says of its values. */
export interface ShapeModel {
  readonly message: ModelMessage;
  /** Types of graph inputs and initializers. */
  readonly known: ReadonlyMap<string, ValueType>;
  /** Named outputs of the nodes of the main graph, in order. */
  readonly values: readonly string[];
  /** Named outputs of nodes in subgraphs, with the node that owns the subgraph. */
  readonly inner: readonly { readonly name: string; readonly owner: string }[];
}

/**
 * The model for inference, its large weights made inputs.
 * @param dims numbers for symbolic dims of the inputs, by symbol
 */
export function shapeModel(
  { proto, contents }: ModelMessage,
  dims: Readonly<Record<string, number>> = {},
): ShapeModel {
  const graph = proto.graph ?? create(GraphProtoSchema);
  const known = new Map<string, ValueType>();
  const inputs = new Map<string, ValueInfoProto>();
  for (const input of graph.input) {
    const type = fixDims(typeFromProto(input.type), dims);
    inputs.set(input.name, type === undefined ? input : infoOf(input.name, type));
    if (type !== undefined) known.set(input.name, type);
  }
  const kept: TensorProto[] = [];
  const dropped = new Set<TensorProto>();
  const makeInput = (name: string, tensor: TensorProto) => {
    dropped.add(tensor);
    inputs.set(name, infoOf(name, typeOfTensor(tensor)));
  };
  for (const tensor of graph.initializer) {
    known.set(tensor.name, typeOfTensor(tensor));
    if (isSmall(tensor, contents.has(tensor))) kept.push(tensor);
    else makeInput(tensor.name, tensor);
  }
  const nodes: NodeProto[] = [];
  const values: string[] = [];
  for (const node of graph.node) {
    values.push(...node.output.filter((name) => name !== ''));
    const constant = constantOf(node);
    if (constant === undefined || isSmall(constant, contents.has(constant))) nodes.push(node);
    else makeInput(node.output[0]!, constant);
  }
  const casts = castUnreadable(inputs);
  const message: ModelMessage = {
    proto: create(ModelProtoSchema, {
      irVersion: proto.irVersion,
      opsetImport: withStandardDomain(proto.opsetImport),
      functions: proto.functions,
      graph: create(GraphProtoSchema, {
        name: 'shapes',
        input: [...inputs.values()],
        output: graph.output,
        initializer: kept,
        sparseInitializer: graph.sparseInitializer,
        node: [...casts, ...nodes],
      }),
    }),
    contents: new Map([...contents].filter(([tensor]) => !dropped.has(tensor))),
  };
  const inner = graph.node.flatMap((node) =>
    innerValues(node).map((name) => ({
      name,
      owner: node.name || (node.output[0] ?? node.opType),
    })),
  );
  return { message, known, values, inner };
}

/**
 * The model with these outputs instead of its own, and these nodes at its end. An output that the
 * model has keeps its declared type; the others need none, the runtime infers it.
 */
export function withOutputs(
  { proto, contents }: ModelMessage,
  names: Iterable<string>,
  nodes: readonly NodeProto[] = [],
): ModelMessage {
  const graph = proto.graph!;
  const declared = new Map(graph.output.map((output) => [output.name, output]));
  return {
    proto: create(ModelProtoSchema, {
      irVersion: proto.irVersion,
      opsetImport: withStandardDomain(proto.opsetImport),
      functions: proto.functions,
      graph: create(GraphProtoSchema, {
        name: graph.name,
        input: graph.input,
        output: [...new Set(names)].map(
          (name) => declared.get(name) ?? create(ValueInfoProtoSchema, { name }),
        ),
        initializer: graph.initializer,
        sparseInitializer: graph.sparseInitializer,
        node: [...graph.node, ...nodes],
      }),
    }),
    contents,
  };
}

/** Standard-domain operators are added here, also to models that use none. */
function withStandardDomain(imports: ModelMessage['proto']['opsetImport']) {
  const hasStandard = imports.some(({ domain }) => domain === '' || domain === 'ai.onnx');
  return hasStandard ? imports : [...imports, { domain: '', version: 17n }];
}

/** `Shape(value)`: its result tells the rank of the value, and in a run the dims. */
export function shapeOf(value: string, output: string): NodeProto {
  return create(NodeProtoSchema, { opType: 'Shape', input: [value], output: [output] });
}

/** `Cast(value)` to this type, with the dims of the value. */
export function castTo(dataType: DataType, value: string, output: string): NodeProto {
  return create(NodeProtoSchema, {
    opType: 'Cast',
    input: [value],
    output: [output],
    attribute: [{ name: 'to', type: AttributeType.INT, i: BigInt(dataTypes[dataType].code) }],
  });
}

/** The runtime's JavaScript cannot name some types, bfloat16 for one: make them from float inside. */
function castUnreadable(inputs: Map<string, ValueInfoProto>): NodeProto[] {
  const casts: NodeProto[] = [];
  for (const [name, input] of [...inputs]) {
    const type = typeFromProto(input.type);
    if (type?.kind !== 'tensor' || type.dataType === undefined || isOrtType(type.dataType))
      continue;
    if (dataTypes[type.dataType].kind === 'complex') continue;
    const stored = freshName(`${name}/float`, inputs);
    inputs.delete(name);
    inputs.set(stored, infoOf(stored, tensorType('float', type.dims)));
    casts.push(castTo(type.dataType, stored, name));
  }
  return casts;
}

function fixDims(type: ValueType | undefined, dims: Readonly<Record<string, number>>) {
  if (type?.kind !== 'tensor' || type.dims === undefined) return type;
  const fixed = type.dims.map((dim) => (typeof dim === 'string' ? (dims[dim] ?? dim) : dim));
  return tensorType(type.dataType, fixed);
}

function freshName(base: string, taken: { has(name: string): boolean }): string {
  let name = base;
  for (let i = 1; taken.has(name); i++) name = `${base}_${i}`;
  return name;
}

function infoOf(name: string, type: ValueType): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name, type: typeToProto(type) });
}

function typeOfTensor({ dataType, dims }: TensorProto): ValueType {
  return tensorType(dataTypeFromCode(dataType), dims.map(Number));
}

function isSmall(tensor: TensorProto, hasContent: boolean): boolean {
  const dataType = dataTypeFromCode(tensor.dataType);
  if (dataType === undefined || dataType === 'string') return true;
  // Without its content here, external data is a file that the runtime would have to find.
  const isOutside = tensor.dataLocation === TensorProto_DataLocation.EXTERNAL && !hasContent;
  return !isOutside && byteLengthOf(dataType, elementCount(tensor.dims.map(Number))) <= smallBytes;
}

/** The tensor of a node that is nothing but a tensor: no inputs, one output, one dense value. */
function constantOf(node: NodeProto): TensorProto | undefined {
  if (node.opType !== 'Constant' || node.output.length !== 1) return undefined;
  return node.attribute.find(({ name, t }) => name === 'value' && t !== undefined)?.t;
}

function innerValues(node: NodeProto): string[] {
  const graphs = node.attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g]));
  return graphs.flatMap((graph) =>
    graph.node.flatMap((inner) => [
      ...inner.output.filter((name) => name !== ''),
      ...innerValues(inner),
    ]),
  );
}
