/** Writes the protobuf message of a model. */
import { toBinary } from '@bufbuild/protobuf';
import type { ModelMessage } from './contents.js';
import { ModelProtoSchema } from './schema/onnx_pb.js';

export interface ExternalEncoding {
  parts: Uint8Array[];
  files: { location: string; byteLength: number; parts: () => AsyncIterable<Uint8Array> }[];
}

export async function encodeModel(message: ModelMessage): Promise<Uint8Array[]> {
  for (const [proto, tensor] of message.contents) {
    if (tensor.content.kind === 'strings') proto.stringData = [...tensor.content.strings];
    else proto.rawData = await tensor.bytes();
  }
  return [toBinary(ModelProtoSchema, message.proto)];
}

export async function encodeModelExternal(
  message: ModelMessage,
  _options: { location: string; threshold?: number; alignment?: number; maxFileBytes?: number },
): Promise<ExternalEncoding> {
  return { parts: await encodeModel(message), files: [] };
}
