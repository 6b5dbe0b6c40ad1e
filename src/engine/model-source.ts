/**
 * A model in memory as what an engine loads. Weights are referenced, not copied, up to the size
 * that one file may have; larger models go out as a file with external data.
 */
import type { Model } from '../graph/model.js';
import { modelToProto } from '../graph/to-proto.js';
import type { ModelMessage } from '../onnx/contents.js';
import { encodeModel, encodeModelExternal } from '../onnx/encode.js';
import type { ModelSource } from './engine.js';

/** Above this a protobuf file comes near its limit of 2 GiB, and the runtime copies it once more. */
const inlineLimit = 1.5e9;

export async function modelSource(model: Model): Promise<ModelSource> {
  return await messageSource(modelToProto(model));
}

/** The same for a model that is still, or again, a message of the file format. */
export async function messageSource(message: ModelMessage): Promise<ModelSource> {
  let bytes = 0;
  for (const tensor of message.contents.values()) bytes += tensor.byteLength;
  if (bytes <= inlineLimit) return { parts: await encodeModel(message) };
  const { parts, files } = await encodeModelExternal(message, { location: 'weights.data' });
  const externalData = new Map<string, Uint8Array[]>();
  for (const file of files) {
    const pieces: Uint8Array[] = [];
    for await (const piece of file.parts()) pieces.push(piece);
    externalData.set(file.location, pieces);
  }
  return { parts, externalData };
}
