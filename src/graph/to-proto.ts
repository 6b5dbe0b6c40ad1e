/**
 * Writes the graph in memory as protobuf messages. Contents of tensors stay beside the messages
 * (see onnx/contents.ts). The model is not changed.
 */
import { clone, create } from '@bufbuild/protobuf';
import type { ModelMessage } from '../onnx/contents.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  AttributeProto_AttributeType as Kind,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorAnnotationSchema,
  type TensorProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import { tensorToProto } from '../onnx/tensor-proto.js';
import type { Attribute } from './attribute.js';
import type { Graph } from './graph.js';
import type { Model, ModelFunction } from './model.js';
import type { Node } from './node.js';
import type { Value } from './value.js';
import { sameType, typeFromProto, typeToProto } from './value-type.js';

export function modelToProto(model: Model): ModelMessage {
  const contents = new Map<TensorProto, Tensor>();
  const writeTensor = (tensor: Tensor, name: string): TensorProto => {
    const proto = tensorToProto(tensor, name);
    contents.set(proto, tensor);
    return proto;
  };
  const proto: ModelProto = model.origin
    ? clone(ModelProtoSchema, model.origin)
    : create(ModelProtoSchema, { producerName: 'pare' });
  proto.irVersion = BigInt(model.irVersion);
  proto.opsetImport = opsetsToProto(model.opsets);
  proto.metadataProps = [...model.metadata].map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  proto.graph = graphToProto(model.graph, writeTensor);
  proto.functions = model.functions.map((fn) => functionToProto(fn, writeTensor));
  return { proto, contents };
}

type TensorWriter = (tensor: Tensor, name: string) => TensorProto;

function opsetsToProto(opsets: ReadonlyMap<string, number>) {
  return [...opsets].map(([domain, version]) =>
    create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
  );
}

function graphToProto(graph: Graph, writeTensor: TensorWriter): GraphProto {
  const proto = graph.origin ? clone(GraphProtoSchema, graph.origin) : create(GraphProtoSchema);
  proto.name = graph.name;
  proto.input = graph.inputs.map(valueToProto);
  proto.output = graph.outputs.map(valueToProto);
  proto.node = Array.from(graph.nodes, (node) => nodeToProto(node, writeTensor));
  for (const value of graph.values) {
    if (value.initializer) proto.initializer.push(writeTensor(value.initializer, value.name));
    else if (value.sparse) proto.sparseInitializer.push(value.sparse);
  }
  proto.valueInfo = valueInfos(graph);
  proto.quantizationAnnotation = graph.quantizationAnnotations
    .filter(({ value }) => graph.find(value.name) === value)
    .map(({ value, parameters }) =>
      create(TensorAnnotationSchema, {
        tensorName: value.name,
        quantParameterTensorNames: parameters.map(([key, parameter]) =>
          create(StringStringEntryProtoSchema, { key, value: String(parameter) }),
        ),
      }),
    );
  return proto;
}

function valueInfos(graph: Graph): ValueInfoProto[] {
  const ports = new Set([...graph.inputs, ...graph.outputs]);
  const infos: ValueInfoProto[] = [];
  for (const value of graph.values) {
    if (value.type && !ports.has(value)) infos.push(valueToProto(value));
  }
  return infos;
}

function valueToProto(value: Value): ValueInfoProto {
  const proto = value.origin
    ? clone(ValueInfoProtoSchema, value.origin)
    : create(ValueInfoProtoSchema);
  proto.name = value.name;
  // An unchanged type keeps its message, and with it what pare does not model (denotations).
  if (!sameType(value.type, typeFromProto(proto.type))) {
    if (value.type) proto.type = typeToProto(value.type);
    else delete proto.type;
  }
  return proto;
}

function nodeToProto(node: Node, writeTensor: TensorWriter): NodeProto {
  const proto = node.origin ? clone(NodeProtoSchema, node.origin) : create(NodeProtoSchema);
  proto.opType = node.opType;
  // An empty text that was never set stays unset.
  if (proto.name !== node.name) proto.name = node.name;
  if (proto.domain !== node.domain) proto.domain = node.domain;
  if (proto.overload !== node.overload) proto.overload = node.overload;
  proto.input = node.inputs.map((value) => value?.name ?? '');
  proto.output = node.outputs.map((value) => value?.name ?? '');
  proto.attribute = Array.from(node.attributes, ([name, attribute]) =>
    attributeToProto(name, attribute, writeTensor),
  );
  return proto;
}

function attributeToProto(
  name: string,
  attribute: Attribute,
  writeTensor: TensorWriter,
): AttributeProto {
  const proto = create(AttributeProtoSchema, { name });
  switch (attribute.type) {
    case 'float':
      return Object.assign(proto, { type: Kind.FLOAT, f: attribute.value });
    case 'int':
      return Object.assign(proto, { type: Kind.INT, i: attribute.value });
    case 'string':
      return Object.assign(proto, { type: Kind.STRING, s: attribute.value });
    case 'tensor': {
      const t = writeTensor(attribute.value, attribute.value.origin?.name ?? '');
      return Object.assign(proto, { type: Kind.TENSOR, t });
    }
    case 'graph':
      return Object.assign(proto, {
        type: Kind.GRAPH,
        g: graphToProto(attribute.value, writeTensor),
      });
    case 'floats':
      return Object.assign(proto, { type: Kind.FLOATS, floats: [...attribute.value] });
    case 'ints':
      return Object.assign(proto, { type: Kind.INTS, ints: [...attribute.value] });
    case 'strings':
      return Object.assign(proto, { type: Kind.STRINGS, strings: [...attribute.value] });
    case 'tensors':
      return Object.assign(proto, {
        type: Kind.TENSORS,
        tensors: attribute.value.map((t) => writeTensor(t, t.origin?.name ?? '')),
      });
    case 'graphs':
      return Object.assign(proto, {
        type: Kind.GRAPHS,
        graphs: attribute.value.map((graph) => graphToProto(graph, writeTensor)),
      });
    case 'sparse-tensor':
      return Object.assign(proto, { type: Kind.SPARSE_TENSOR, sparseTensor: attribute.value });
    case 'sparse-tensors':
      return Object.assign(proto, {
        type: Kind.SPARSE_TENSORS,
        sparseTensors: [...attribute.value],
      });
    case 'type':
      return Object.assign(proto, { type: Kind.TYPE_PROTO, tp: attribute.value });
    case 'types':
      return Object.assign(proto, { type: Kind.TYPE_PROTOS, typeProtos: [...attribute.value] });
    case 'reference':
      return Object.assign(proto, { type: attribute.typeCode, refAttrName: attribute.value });
  }
}

function functionToProto(fn: ModelFunction, writeTensor: TensorWriter): FunctionProto {
  const proto = fn.origin ? clone(FunctionProtoSchema, fn.origin) : create(FunctionProtoSchema);
  proto.name = fn.name;
  proto.domain = fn.domain;
  if (proto.overload !== fn.overload) proto.overload = fn.overload;
  proto.input = fn.body.inputs.map(({ name }) => name);
  proto.output = fn.body.outputs.map(({ name }) => name);
  proto.attribute = [...fn.attributes];
  proto.attributeProto = Array.from(fn.defaults, ([name, attribute]) =>
    attributeToProto(name, attribute, writeTensor),
  );
  proto.node = Array.from(fn.body.nodes, (node) => nodeToProto(node, writeTensor));
  proto.valueInfo = valueInfos(fn.body);
  if (fn.body.opsets) proto.opsetImport = opsetsToProto(fn.body.opsets);
  return proto;
}
