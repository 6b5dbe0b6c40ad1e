/**
 * Where tensors sit in a model: initializers, attributes, subgraphs, functions, sparse tensors,
 * training graphs. Derived from the schema, so that a new place needs no code.
 */
import type { DescField, DescMessage, Message } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema, type TensorProto } from './schema/onnx_pb.js';

const tensorTypeName = 'onnx.TensorProto';
const reaching = new Map<string, readonly MessageField[]>();

/** A field that holds one message or a list of them. */
export type MessageField = DescField & { readonly message: DescMessage };

/** The fields of a message type that can hold a tensor, directly or further inside. */
export function tensorFields(desc: DescMessage): readonly MessageField[] {
  let fields = reaching.get(desc.typeName);
  if (!fields) {
    fields = desc.fields.filter(
      (field): field is MessageField =>
        field.message !== undefined && reachesTensor(field.message, new Set()),
    );
    reaching.set(desc.typeName, fields);
  }
  return fields;
}

export function isTensorType(desc: DescMessage): boolean {
  return desc.typeName === tensorTypeName;
}

/** The messages in a field: none, one, or the list. */
export function messagesIn(message: Message, field: MessageField): readonly Message[] {
  const value = (message as unknown as Record<string, Message | Message[] | undefined>)[
    field.localName
  ];
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** Calls `visit` for every TensorProto of a model, in the order of the file's fields. */
export function visitTensors(model: ModelProto, visit: (tensor: TensorProto) => void): void {
  visitMessage(ModelProtoSchema, model, visit);
}

function visitMessage(
  desc: DescMessage,
  message: Message,
  visit: (tensor: TensorProto) => void,
): void {
  if (isTensorType(desc)) visit(message as TensorProto);
  for (const field of tensorFields(desc)) {
    for (const child of messagesIn(message, field)) visitMessage(field.message, child, visit);
  }
}

function reachesTensor(desc: DescMessage, seen: Set<string>): boolean {
  if (isTensorType(desc)) return true;
  if (seen.has(desc.typeName)) return false;
  seen.add(desc.typeName);
  return desc.fields.some(({ message }) => message !== undefined && reachesTensor(message, seen));
}
