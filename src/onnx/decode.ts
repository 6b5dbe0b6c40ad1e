/** Reads the protobuf message of a model. */
import { fromBinary } from '@bufbuild/protobuf';
import { messageOf, PareError } from '../errors.js';
import { type ByteSource, readAll } from './byte-source.js';
import { type ModelProto, ModelProtoSchema } from './schema/onnx_pb.js';

export async function decodeModel(source: ByteSource): Promise<ModelProto> {
  try {
    return fromBinary(ModelProtoSchema, await readAll(source));
  } catch (error) {
    throw new PareError('invalid-model', `onnx: ${messageOf(error)}`, { file: source.name });
  }
}
