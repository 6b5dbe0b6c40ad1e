/**
 * The gather writer: a protobuf message as a list of parts, where the contents of tensors are
 * references and not copies. Messages without contents inside go through protobuf-es; around
 * the others only tags and lengths are written here, lengths bottom-up.
 */
import { create, type DescMessage, type Message, toBinary } from '@bufbuild/protobuf';
import { messageOf, PareError } from '../errors.js';
import type { TensorProto } from './schema/onnx_pb.js';
import { isTensorType, type MessageField, messagesIn, tensorFields } from './tensor-fields.js';
import { fieldHead } from './wire.js';

/** Bytes that are at hand, or that are read when the file is written. */
export type Part =
  | Uint8Array
  | { readonly byteLength: number; readonly read: () => Promise<Uint8Array> };

/** Parts below this size are joined: a copy is cheaper than a part of its own. */
export const joinBelowBytes = 4096;

/** A growing list of parts that knows its length. */
export class Parts {
  readonly list: Part[] = [];
  byteLength = 0;

  add(part: Part): this {
    if (part.byteLength > 0) this.list.push(part);
    this.byteLength += part.byteLength;
    return this;
  }

  /** A length-delimited field with these parts as its content. */
  addField(fieldNumber: number, content: Parts): this {
    this.add(fieldHead(fieldNumber, content.byteLength));
    for (const part of content.list) this.list.push(part);
    this.byteLength += content.byteLength;
    return this;
  }
}

/**
 * Writes a tensor whose content is beside the message, or returns undefined for one that is
 * complete in itself. `field` is the field that the tensor sits in.
 */
export type TensorWriter = (tensor: TensorProto, field: MessageField) => Parts | undefined;

/** The parts of a whole message. Neither the message nor anything inside is modified. */
export function gatherMessage(desc: DescMessage, message: Message, write: TensorWriter): Parts {
  return gather(desc, message, write) ?? new Parts().add(encode(desc, message));
}

/** Undefined when nothing inside needs the writer: the caller then encodes it with its own. */
function gather(desc: DescMessage, message: Message, write: TensorWriter): Parts | undefined {
  const fields: { field: MessageField; children: (Parts | undefined)[] }[] = [];
  for (const field of tensorFields(desc)) {
    const children = messagesIn(message, field).map((child) =>
      isTensorType(field.message)
        ? write(child as TensorProto, field)
        : gather(field.message, child, write),
    );
    if (children.some((child) => child !== undefined)) fields.push({ field, children });
  }
  if (fields.length === 0) return undefined;
  const rest = withFields(message, new Map(fields.map(({ field }) => [field, []])));
  const parts = new Parts().add(encode(desc, rest));
  // Concatenated fields merge into one message; the order within a field is kept.
  for (const { field, children } of fields) {
    addChildren(parts, desc, field, messagesIn(message, field), children);
  }
  return parts;
}

function addChildren(
  parts: Parts,
  desc: DescMessage,
  field: MessageField,
  messages: readonly Message[],
  gathered: readonly (Parts | undefined)[],
): void {
  const bare: Message = create(desc);
  let plain: Message[] = [];
  const flush = () => {
    if (plain.length === 0) return;
    parts.add(encode(desc, withFields(bare, new Map([[field, plain]]))));
    plain = [];
  };
  messages.forEach((message, index) => {
    const content = gathered[index];
    if (!content) {
      plain.push(message);
      return;
    }
    flush();
    parts.addField(field.number, content);
  });
  flush();
}

/** A shallow copy of a message with other children in some fields; none means unset. */
function withFields(
  message: Message,
  fields: ReadonlyMap<MessageField, readonly Message[]>,
): Message {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(message)), message);
  for (const [field, children] of fields) {
    if (field.fieldKind === 'list') copy[field.localName] = children;
    else if (children.length > 0) copy[field.localName] = children[0];
    else delete copy[field.localName];
  }
  return copy;
}

function encode(desc: DescMessage, message: Message): Uint8Array {
  try {
    return toBinary(desc, message);
  } catch (cause) {
    throw new PareError('invalid-model', `onnx: cannot write ${desc.name}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/**
 * The bytes of all parts, in order: large ones as they are, runs of small ones joined.
 * Reads the parts that are not at hand.
 */
export async function resolveParts(parts: Parts): Promise<Uint8Array[]> {
  const out: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  const flush = () => {
    if (small.length > 0) out.push(join(small));
    small = [];
  };
  for (const part of parts.list) {
    const bytes = part instanceof Uint8Array ? part : await part.read();
    if (bytes.byteLength < joinBelowBytes) {
      small.push(bytes);
    } else {
      flush();
      out.push(bytes);
    }
  }
  flush();
  return out;
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const joined = new Uint8Array(pieces.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.byteLength;
  }
  return joined;
}
