/**
 * Reads an ONNX file into protobuf messages. Zero-copy: raw_data and the typed data fields are
 * views of the one buffer. Knows nothing of graphs; what it refuses is no readable model at all.
 */
import { clone, createFileRegistry, type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { messageOf, PareError } from '../errors.js';
import type { ByteSource } from './byte-source.js';
import { checkWire, WireError } from './check-wire.js';
import { recognizeFile } from './file-kind.js';
import { file_onnx, type ModelProto, ModelProtoSchema } from './schema/onnx_pb.js';
import { visitTensors } from './tensor-fields.js';
import { typedFieldNumbers, typedFields } from './typed-data.js';

/** The newest versions of the format and of the standard operators that pare knows. */
export const newestIrVersion = 13;
export const newestOpset = 26;

/** One read of a file. Small beside a model, so that copying it costs little memory. */
const chunkBytes = 32 * 1024 * 1024;

/** The lengths in a protobuf are 32-bit. */
const maxFileBytes = 2 ** 32 - 1;

/** What the parsed objects may take, weights not counted: below the heap limit of Node. */
const maxHeapBytes = 2 ** 31;

/**
 * The messages of a model file. The source is not modified and must not change afterwards: byte
 * fields are views of it when it is in memory.
 *
 * The typed data fields of tensors (`floatData`, `int32Data`, `int64Data`, `doubleData`,
 * `uint64Data`) come empty: their content stays in wire form in `$unknown`, since a JavaScript
 * array would take up to 30 times its size in the file. `tensorFromProto` reads it, and
 * writing puts it back.
 *
 * Throws PareError `invalid-model` with the reason, `unsupported` for a file too large to hold.
 * @example const proto = await decodeModel(bytesSource(await file.bytes()));
 */
export async function decodeModel(source: ByteSource): Promise<ModelProto> {
  const where = { file: source.name };
  if (source.byteLength === 0) {
    throw new PareError('invalid-model', 'onnx: the file is empty', where);
  }
  if (source.byteLength > maxFileBytes) {
    throw new PareError(
      'unsupported',
      `onnx: the file has ${source.byteLength} bytes, a protobuf message can have ${maxFileBytes}`,
      { ...where, hint: 'save the model with external data' },
    );
  }
  const bytes = await readBytes(source);
  checkBytes(bytes, source.name);
  const model = parse(bytes, source.name);
  checkModel(model, source.name);
  return model;
}

async function readBytes(source: ByteSource): Promise<Uint8Array> {
  const { memory, byteLength } = source;
  // A plain view: a Node Buffer would make all views Buffers, whose slice() does not copy.
  if (memory) return new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
  if (byteLength <= chunkBytes) return source.slice(0, byteLength);
  const bytes = allocate(byteLength, source.name);
  for (let at = 0; at < byteLength; at += chunkBytes) {
    bytes.set(await source.slice(at, Math.min(at + chunkBytes, byteLength)), at);
  }
  return bytes;
}

function allocate(byteLength: number, file: string): Uint8Array {
  try {
    return new Uint8Array(byteLength);
  } catch (cause) {
    throw new PareError('unsupported', `onnx: no memory for a file of ${byteLength} bytes`, {
      file,
      hint: 'save the model with external data: its weights are then read one by one',
      cause,
    });
  }
}

function checkBytes(bytes: Uint8Array, file: string): void {
  let heapBytes: number;
  try {
    heapBytes = checkWire(ModelProtoSchema, bytes, opaqueFields);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw notReadable(bytes, error, file);
  }
  if (heapBytes > maxHeapBytes) {
    throw new PareError(
      'unsupported',
      `onnx: nodes and attributes of this file would take about ${heapBytes} bytes of memory, the limit is ${maxHeapBytes}`,
      { file, hint: 'no usual model is like this; the file may be damaged' },
    );
  }
}

function notReadable(bytes: Uint8Array, error: WireError, file: string): PareError {
  const kind = recognizeFile(bytes);
  if (kind) {
    return new PareError(
      'invalid-model',
      `onnx: not an ONNX model, it looks like ${kind.looksLike}`,
      {
        file,
        hint: kind.hint,
        cause: error,
      },
    );
  }
  // Every exporter writes ir_version first: the tag 0x08.
  if (error.missingBytes > 0 && (error.offset > 0 || bytes[0] === 0x08)) {
    return new PareError(
      'invalid-model',
      `onnx: the file is truncated: it ends at byte ${bytes.length}, and at least ${error.missingBytes} more must follow; ${error.message}`,
      { file, hint: 'copy or download it again', cause: error },
    );
  }
  return new PareError('invalid-model', `onnx: not an ONNX model: ${error.message}`, {
    file,
    hint: 'the file must be a ModelProto; the .pb files of test data hold tensors, not models',
    cause: error,
  });
}

const opaqueFields = new Map([['onnx.TensorProto', typedFieldNumbers]]);

let schemaForReading: DescMessage | undefined;

/** The schema without the typed data fields: the parser keeps what it does not know as views. */
function readingSchema(): DescMessage {
  if (schemaForReading) return schemaForReading;
  const file = clone(FileDescriptorProtoSchema, file_onnx.proto);
  const tensor = file.messageType.find(({ name }) => name === 'TensorProto')!;
  tensor.field = tensor.field.filter(({ number }) => !typedFieldNumbers.has(number));
  const registry = createFileRegistry(file, () => undefined);
  return (schemaForReading = registry.getMessage('onnx.ModelProto')!);
}

function parse(bytes: Uint8Array, file: string): ModelProto {
  let model: ModelProto;
  try {
    model = fromBinary(readingSchema(), bytes) as ModelProto;
  } catch (cause) {
    throw new PareError('invalid-model', `onnx: the protobuf parser failed: ${messageOf(cause)}`, {
      file,
      cause,
    });
  }
  visitTensors(model, (tensor) => {
    for (const { local } of Object.values(typedFields)) tensor[local] = [];
  });
  return model;
}

function checkModel(model: ModelProto, file: string): void {
  const refuse = (message: string, hint?: string) =>
    new PareError('invalid-model', `onnx: ${message}`, { file, hint });
  if (!model.graph) {
    throw refuse('a protobuf message, but not a model: it has no graph');
  }
  if (!Object.hasOwn(model, 'irVersion') || model.irVersion < 0n) {
    throw refuse('the model states no ir_version');
  }
  const upgrade = 'upgrade pare, or export the model for an older version';
  if (model.irVersion > newestIrVersion) {
    throw refuse(`IR version ${model.irVersion} is newer than ${newestIrVersion}`, upgrade);
  }
  if (model.irVersion >= 3n && model.opsetImport.length === 0) {
    throw refuse(`the model imports no operator set; IR version ${model.irVersion} requires one`);
  }
  // Of several imports of one domain the last counts, as in ONNX Runtime.
  const opset = model.opsetImport.findLast(({ domain }) => domain === '' || domain === 'ai.onnx');
  if (opset && opset.version > newestOpset) {
    throw refuse(`opset ${opset.version} is newer than ${newestOpset}`, upgrade);
  }
  if (opset && opset.version < 1n) {
    throw refuse(`opset ${opset.version} is no version of the standard operators`);
  }
}
