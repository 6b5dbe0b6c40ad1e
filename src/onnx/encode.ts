/**
 * Writes a model as an ONNX file: in one piece, or with its weights in external data files.
 * Weights in memory are referenced and never copied; the message is not modified.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { PareError } from '../errors.js';
import type { ModelMessage } from './contents.js';
import { checkLocation } from './external.js';
import { type ExternalFile, ExternalLayout } from './external-layout.js';
import { gatherMessage, joinBelowBytes, Parts, resolveParts } from './gather.js';
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from './schema/onnx_pb.js';
import type { Tensor } from './tensor.js';
import { fieldHead } from './wire.js';

/** Protobuf's own limit, which every reader of ONNX files keeps. */
const maxMessageBytes = 2 ** 31 - 1;

const stringDataField = TensorProtoSchema.field.stringData.number;
const rawDataField = TensorProtoSchema.field.rawData.number;

export interface ExternalEncodingOptions {
  /** Name of the data file, relative to the folder of the model: `model.onnx.data`. */
  readonly location: string;
  /**
   * Initializers of fewer bytes stay in the model file, among them the shapes that runtimes must
   * know when they load the model (ONNX Runtime refuses external ones). Default 1024.
   */
  readonly threshold?: number | undefined;
  /**
   * Offsets of tensors of at least this many bytes are multiples of it, so that runtimes can
   * map them into memory; smaller tensors are aligned to 64 bytes. Default 4096.
   */
  readonly alignment?: number | undefined;
  /**
   * Start a new file (`<location>_1`, `<location>_2`, ...) before one grows beyond this; a
   * larger tensor gets a file of its own. Default: one file.
   */
  readonly maxFileBytes?: number | undefined;
}

export interface ExternalEncoding {
  /** The model file. */
  readonly parts: Uint8Array[];
  /** The data files, to be written beside the model at their locations. */
  readonly files: ExternalFile[];
}

/**
 * The model in one file, as parts to be written one after the other. Content that lies outside
 * of memory is read for it. Throws PareError `unsupported` above 2^31 - 1 bytes.
 * @example const blob = new Blob(await encodeModel(message));
 */
export async function encodeModel({ proto, contents }: ModelMessage): Promise<Uint8Array[]> {
  const parts = withSmallContents(contents, joinBelowBytes, () =>
    gatherMessage(ModelProtoSchema, proto, (tensorProto) => {
      const tensor = contents.get(tensorProto);
      return tensor && inlineTensor(tensorProto, tensor);
    }),
  );
  checkSize(parts, 'write it with external data');
  return resolveParts(parts);
}

/**
 * The model with its larger initializers in external data files, also those of subgraphs.
 * Tensors in attributes and sparse tensors stay in the model file, where every runtime reads
 * them. Content that several tensors share is stored once.
 *
 * Throws PareError `usage` for a location outside of the model's folder or a bad number,
 * `unsupported` when what remains in the model file is above 2^31 - 1 bytes.
 * @example
 * const { parts, files } = await encodeModelExternal(message, { location: 'model.onnx.data' });
 */
export async function encodeModelExternal(
  { proto, contents }: ModelMessage,
  options: ExternalEncodingOptions,
): Promise<ExternalEncoding> {
  const { location, threshold = 1024, alignment = 4096, maxFileBytes = Infinity } = options;
  checkOptions({ location, threshold, alignment, maxFileBytes });
  const layout = new ExternalLayout({ location, alignment, maxFileBytes });
  const parts = withSmallContents(contents, Math.min(threshold, joinBelowBytes), () =>
    gatherMessage(ModelProtoSchema, proto, (tensorProto, field) => {
      const tensor = contents.get(tensorProto);
      if (!tensor) return undefined;
      const outside =
        field.name === 'initializer' &&
        tensor.content.kind !== 'strings' &&
        tensor.byteLength > 0 &&
        tensor.byteLength >= threshold;
      return outside
        ? externalTensor(tensorProto, tensor, layout)
        : inlineTensor(tensorProto, tensor);
    }),
  );
  checkSize(parts, 'constants in attributes must become initializers first');
  return { parts: await resolveParts(parts), files: layout.files() };
}

/**
 * Calls `write` while contents in memory of fewer than `limit` bytes stand in their messages:
 * protobuf-es then writes nodes and small constants in one go, two to four times faster than part by
 * part for 100,000 constants. The messages are as before when this returns.
 */
function withSmallContents<Result>(
  contents: ModelMessage['contents'],
  limit: number,
  write: () => Result,
): Result {
  const filled: Partial<TensorProto>[] = [];
  try {
    for (const [proto, { content }] of contents) {
      if (content.kind !== 'bytes' || content.bytes.byteLength >= limit) continue;
      proto.rawData = content.bytes;
      filled.push(proto);
    }
    return write();
  } finally {
    for (const proto of filled) delete proto.rawData;
  }
}

/** Undefined when the message is complete. */
function inlineTensor(proto: TensorProto, tensor: Tensor): Parts | undefined {
  if (Object.hasOwn(proto, 'rawData')) return undefined;
  const parts = new Parts().add(toBinary(TensorProtoSchema, proto));
  const { content } = tensor;
  if (content.kind === 'strings') {
    for (const string of content.strings) {
      parts.addField(stringDataField, new Parts().add(string));
    }
    return parts;
  }
  const { byteLength } = tensor;
  // Written even when empty: raw_data says that the tensor is not lacking its content.
  parts.add(fieldHead(rawDataField, byteLength));
  return parts.add(
    content.kind === 'bytes' ? content.bytes : { byteLength, read: () => tensor.bytes() },
  );
}

function externalTensor(proto: TensorProto, tensor: Tensor, layout: ExternalLayout): Parts {
  const entries = Object.entries(layout.place(tensor)).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value: String(value) }),
  );
  const place = create(TensorProtoSchema, {
    externalData: entries,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
  });
  return new Parts()
    .add(toBinary(TensorProtoSchema, proto))
    .add(toBinary(TensorProtoSchema, place));
}

function checkSize({ byteLength }: Parts, hint: string): void {
  if (byteLength <= maxMessageBytes) return;
  throw new PareError(
    'unsupported',
    `onnx: the model file would have ${byteLength} bytes, a protobuf file can have ${maxMessageBytes}`,
    { hint },
  );
}

function checkOptions(options: Required<ExternalEncodingOptions>): void {
  const { location, ...numbers } = options;
  try {
    checkLocation(location, {});
  } catch (cause) {
    throw new PareError('usage', `external data: cannot write to ${JSON.stringify(location)}`, {
      hint: 'the location is a file name beside the model, or in a folder below it',
      cause,
    });
  }
  for (const [name, value] of Object.entries(numbers)) {
    const lowest = name === 'threshold' ? 0 : 1;
    const whole = Number.isInteger(value) || (name === 'maxFileBytes' && value === Infinity);
    if (whole && Number(value) >= lowest) continue;
    throw new PareError('usage', `external data: ${name} is ${value}, at least ${lowest} expected`);
  }
}
