/**
 * From bytes to a model in memory, and back to bytes. Files and folders of Node are in node.ts.
 */
import { PareError } from './errors.js';
import { modelFromProto } from './graph/from-proto.js';
import type { Model } from './graph/model.js';
import { modelToProto } from './graph/to-proto.js';
import type { ByteSource } from './onnx/byte-source.js';
import { decodeModel } from './onnx/decode.js';
import { type ExternalEncoding, encodeModel, encodeModelExternal } from './onnx/encode.js';
import { type ExternalFiles, openExternals } from './onnx/external.js';
import { tensorFromProto } from './onnx/tensor-proto.js';

/**
 * Reads a model. Weights stay where they are until somebody asks for them; external data is
 * opened through `externalFiles`, by location.
 * Throws `invalid-model` for anything that is no readable ONNX model.
 *
 * @example const model = await loadModel(bytesSource(bytes));
 */
export async function loadModel(
  source: ByteSource,
  externalFiles: ExternalFiles = noExternalFiles(source.name),
): Promise<Model> {
  const proto = await decodeModel(source);
  const externals = await openExternals(proto, externalFiles);
  const model = modelFromProto(proto, (tensor) =>
    tensorFromProto(tensor, externals, { file: source.name, tensor: tensor.name }),
  );
  model.file = source.name;
  return model;
}

/** The model as one file, in parts that reference the weights. Throws above 2 GiB. */
export async function encode(model: Model): Promise<Uint8Array[]> {
  return encodeModel(modelToProto(model));
}

/** The model as a file and its external data files, for models of any size. */
export async function encodeWithExternalData(
  model: Model,
  options: { readonly location: string; readonly maxFileBytes?: number },
): Promise<ExternalEncoding> {
  return encodeModelExternal(modelToProto(model), options);
}

function noExternalFiles(file: string): ExternalFiles {
  return async (location) => {
    throw new PareError(
      'io',
      `load: the model keeps weights in "${location}", which was not given`,
      {
        file,
        hint: 'pass the external data files beside the model',
      },
    );
  };
}
