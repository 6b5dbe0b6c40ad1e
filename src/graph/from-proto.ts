/**
 * Builds the graph in memory from protobuf messages, and refuses what is no graph: names that are
 * undefined or defined twice, cycles, attributes without a type. Takes the messages over: their
 * repeated fields are emptied, what pare does not model stays in the `origin` of each object.
 */
import { messageOf, PareError } from '../errors.js';
import {
  type AttributeProto,
  type FunctionProto,
  type GraphProto,
  AttributeProto_AttributeType as Kind,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import type { Attribute } from './attribute.js';
import { Graph } from './graph.js';
import { Model, type ModelFunction } from './model.js';
import { Node } from './node.js';
import type { Value } from './value.js';
import { typeFromProto } from './value-type.js';

/** Makes the Tensor of a message: reads its fields, or finds its content elsewhere. */
export type TensorReader = (proto: TensorProto) => Tensor;

/** Subgraphs inside subgraphs: real models stay below ten; a limit keeps bad files off the stack. */
const maxDepth = 64;

/** Throws `invalid-model`. Does not read weights. */
export function modelFromProto(proto: ModelProto, readTensor: TensorReader): Model {
  if (!proto.graph) throw new PareError('invalid-model', 'graph: the model holds no graph');
  const model = new Model({
    irVersion: Number(proto.irVersion),
    opsets: opsetsFrom(proto.opsetImport),
    graph: new Graph(proto.graph.name),
  });
  for (const { key, value } of proto.metadataProps) model.metadata.set(key, value);
  fillGraph(model.graph, proto.graph, readTensor, 0);
  for (const fn of proto.functions) model.functions.push(functionFrom(fn, model, readTensor));
  delete (proto as { graph?: GraphProto }).graph;
  proto.functions = [];
  proto.opsetImport = [];
  proto.metadataProps = [];
  model.origin = proto;
  return model;
}

function opsetsFrom(imports: ModelProto['opsetImport']): [string, number][] {
  // Before IR 3 a model imports nothing and means version 1 of the standard operators.
  if (imports.length === 0) return [['', 1]];
  return imports.map(({ domain, version }) => [standardDomain(domain), Number(version)]);
}

/** 'ai.onnx' is a second spelling of the standard domain. */
function standardDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function fillGraph(graph: Graph, proto: GraphProto, readTensor: TensorReader, depth: number): void {
  if (depth > maxDepth) {
    throw new PareError('invalid-model', `graph: subgraphs are nested deeper than ${maxDepth}`);
  }
  const infos = new Map(proto.valueInfo.map((info) => [info.name, info]));
  for (const input of proto.input) describe(graph.addInput(input.name), input);
  for (const tensor of proto.initializer) {
    const value = ownValue(graph, tensor.name) ?? graph.addValue(tensor.name);
    if (value.initializer) throw twice(tensor.name);
    value.initializer = readTensor(tensor);
    describe(value, infos.get(value.name));
  }
  for (const sparse of proto.sparseInitializer) {
    const name = sparse.values?.name ?? '';
    const value = ownValue(graph, name) ?? graph.addValue(name);
    if (value.initializer ?? value.sparse) throw twice(name);
    value.sparse = sparse;
    describe(value, infos.get(name));
  }
  fillNodes(graph, proto.node, infos, readTensor, depth);
  for (const output of proto.output) {
    const value = ownValue(graph, output.name);
    if (!value) throw missingOutput(graph, output.name);
    graph.outputs.push(value);
    // A type that stands on the output wins over value_info.
    if (output.type ?? !value.type) describe(value, output);
  }
  for (const annotation of proto.quantizationAnnotation) {
    const value = graph.find(annotation.tensorName);
    if (value) {
      graph.quantizationAnnotations.push({
        value,
        parameters: annotation.quantParameterTensorNames.map(({ key, value: name }) => [
          key,
          graph.find(name) ?? name,
        ]),
      });
    }
  }
  graph.sort();
  proto.node = [];
  proto.initializer = [];
  proto.sparseInitializer = [];
  proto.input = [];
  proto.output = [];
  proto.valueInfo = [];
  proto.quantizationAnnotation = [];
  graph.origin = proto;
}

/**
 * Two rounds, so that nodes may stand in any order and subgraphs may use any value around them:
 * first every node with its outputs, then inputs and attributes.
 */
function fillNodes(
  graph: Graph,
  protos: NodeProto[],
  infos: ReadonlyMap<string, ValueInfoProto>,
  readTensor: TensorReader,
  depth: number,
): void {
  const nodes: Node[] = [];
  for (const proto of protos) {
    const node = graph.addNode({
      opType: proto.opType,
      domain: standardDomain(proto.domain),
      name: proto.name,
      inputs: [],
      outputs: [],
    });
    node.overload = proto.overload;
    nodes.push(node);
    proto.output.forEach((name, index) => {
      if (name === '') return;
      // An initializer that a node also makes, or an input, is a second definition.
      if (ownValue(graph, name)) throw twice(name, node.label);
      const value = graph.addValue(name);
      describe(value, infos.get(name));
      node.setOutput(index, value);
    });
  }
  protos.forEach((proto, at) => {
    const node = nodes[at]!;
    node.setInputs(
      proto.input.map((name) => {
        if (name === '') return undefined;
        const value = graph.find(name);
        if (value) return value;
        throw new PareError(
          'invalid-model',
          `graph: ${node.op} uses "${name}", which is defined nowhere`,
          {
            node: node.label,
          },
        );
      }),
    );
    for (const attribute of proto.attribute) {
      try {
        node.setAttribute(attribute.name, attributeFrom(attribute, node, readTensor, depth));
      } catch (error) {
        if (error instanceof PareError) throw error;
        throw new PareError(
          'invalid-model',
          `graph: attribute ${attribute.name} of ${node.op}: ${messageOf(error)}`,
          { node: node.label, cause: error },
        );
      }
    }
    proto.input = [];
    proto.output = [];
    proto.attribute = [];
    node.origin = proto;
  });
}

function attributeFrom(
  proto: AttributeProto,
  node: Node,
  readTensor: TensorReader,
  depth: number,
): Attribute {
  const kind = proto.type || guessKind(proto);
  if (proto.refAttrName) return { type: 'reference', value: proto.refAttrName, typeCode: kind };
  const subgraph = (graphProto: GraphProto) => {
    const graph = new Graph(graphProto.name);
    graph.owner = node;
    fillGraph(graph, graphProto, readTensor, depth + 1);
    return graph;
  };
  const missing = () =>
    new PareError('invalid-model', `graph: attribute ${proto.name} of ${node.op} has no value`, {
      node: node.label,
    });
  switch (kind) {
    case Kind.FLOAT:
      return { type: 'float', value: proto.f };
    case Kind.INT:
      return { type: 'int', value: proto.i };
    case Kind.STRING:
      return { type: 'string', value: proto.s };
    case Kind.TENSOR:
      if (!proto.t) throw missing();
      return { type: 'tensor', value: readTensor(proto.t) };
    case Kind.GRAPH:
      if (!proto.g) throw missing();
      return { type: 'graph', value: subgraph(proto.g) };
    case Kind.FLOATS:
      return { type: 'floats', value: proto.floats };
    case Kind.INTS:
      return { type: 'ints', value: proto.ints };
    case Kind.STRINGS:
      return { type: 'strings', value: proto.strings };
    case Kind.TENSORS:
      return { type: 'tensors', value: proto.tensors.map(readTensor) };
    case Kind.GRAPHS:
      return { type: 'graphs', value: proto.graphs.map(subgraph) };
    case Kind.SPARSE_TENSOR:
      if (!proto.sparseTensor) throw missing();
      return { type: 'sparse-tensor', value: proto.sparseTensor };
    case Kind.SPARSE_TENSORS:
      return { type: 'sparse-tensors', value: proto.sparseTensors };
    case Kind.TYPE_PROTO:
      if (!proto.tp) throw missing();
      return { type: 'type', value: proto.tp };
    case Kind.TYPE_PROTOS:
      return { type: 'types', value: proto.typeProtos };
    default:
      throw missing();
  }
}

/** Before IR 2 attributes carry no type: it follows from the field that is filled. */
function guessKind(proto: AttributeProto): Kind {
  const has = (field: keyof AttributeProto) => Object.hasOwn(proto, field);
  if (proto.floats.length > 0) return Kind.FLOATS;
  if (proto.ints.length > 0) return Kind.INTS;
  if (proto.strings.length > 0) return Kind.STRINGS;
  if (proto.tensors.length > 0) return Kind.TENSORS;
  if (proto.graphs.length > 0) return Kind.GRAPHS;
  if (proto.t) return Kind.TENSOR;
  if (proto.g) return Kind.GRAPH;
  if (has('f')) return Kind.FLOAT;
  if (has('i')) return Kind.INT;
  return has('s') ? Kind.STRING : Kind.UNDEFINED;
}

function functionFrom(proto: FunctionProto, model: Model, readTensor: TensorReader): ModelFunction {
  const body = new Graph(proto.name);
  body.root = model;
  body.opsets = new Map(opsetsFrom(proto.opsetImport));
  const infos = new Map(proto.valueInfo.map((info) => [info.name, info]));
  for (const name of proto.input) describe(body.addInput(name), infos.get(name));
  fillNodes(body, proto.node, infos, readTensor, 0);
  for (const name of proto.output) {
    const value = ownValue(body, name);
    if (!value) {
      throw new PareError(
        'invalid-model',
        `graph: the output "${name}" of function ${proto.domain}:${proto.name} is made by no node`,
      );
    }
    body.outputs.push(value);
  }
  body.sort();
  // Defaults of attributes are read as if a node of the function's type carried them.
  const owner = new Node(proto.name, proto.domain, proto.name);
  const fn: ModelFunction = {
    domain: standardDomain(proto.domain),
    name: proto.name,
    overload: proto.overload,
    attributes: proto.attribute,
    defaults: new Map(
      proto.attributeProto.map((attribute) => [
        attribute.name,
        attributeFrom(attribute, owner, readTensor, 0),
      ]),
    ),
    body,
    origin: proto,
  };
  proto.node = [];
  proto.valueInfo = [];
  return fn;
}

function ownValue(graph: Graph, name: string): Value | undefined {
  const value = graph.find(name);
  return value?.graph === graph ? value : undefined;
}

function describe(value: Value, info: ValueInfoProto | undefined): void {
  if (!info) return;
  value.origin = info;
  value.type = typeFromProto(info.type) ?? value.type;
}

function missingOutput(graph: Graph, name: string): PareError {
  const outside = graph.find(name) !== undefined;
  return new PareError(
    'invalid-model',
    outside
      ? `graph: the subgraph "${graph.name}" returns "${name}", which belongs to the graph around it`
      : `graph: the output "${name}" is made by no node`,
    {
      node: graph.owner?.label,
      hint: outside ? 'put an Identity between the value and the output' : undefined,
    },
  );
}

function twice(name: string, node?: string): PareError {
  return new PareError('invalid-model', `graph: the name "${name}" is defined twice`, { node });
}
