/**
 * Looks over the bytes of a protobuf message before a parser does: lengths that stay inside their
 * message, wire types that fit the schema, nesting, and what the objects of a parser would cost.
 * Builds nothing, so that a broken or hostile file costs no memory.
 */
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { readVarint, wireTypes } from './wire.js';

/** Messages inside messages; the same limit as Google's parsers have, and so every runtime. */
export const maxNesting = 100;

/** What is wrong, at which byte, and in which message. */
export class WireError extends Error {
  readonly offset: number;
  /** The file ends inside of a field of the outermost message: the rest is probably missing. */
  readonly missingBytes: number;

  constructor(message: string, offset: number, missingBytes = 0) {
    super(`${message} (byte ${offset})`);
    this.offset = offset;
    this.missingBytes = missingBytes;
  }
}

interface FieldRule {
  readonly label: string;
  readonly wireType: number;
  /** The wire type of one element, where elements may also stand packed in one field. */
  readonly packable: boolean;
  readonly list: boolean;
  readonly message: MessageRule | undefined;
}

interface MessageRule {
  readonly name: string;
  readonly fields: Map<number, FieldRule>;
  /** Field numbers that the parser leaves in wire form. */
  readonly opaque: ReadonlySet<number>;
}

/**
 * Rough cost in bytes of what protobuf-es makes on a 64-bit engine: an object with its lists, a
 * view of bytes or a string, a bigint or number in a list.
 */
const heapCost = { message: 400, view: 150, bigint: 32, number: 16 };

/**
 * Checks the bytes as a message of type `desc`; returns an estimate of the parsed objects' size
 * in bytes, contents of byte fields not counted. Throws WireError.
 * `opaque` names the fields (by type name) that the parser will not open.
 */
export function checkWire(
  desc: DescMessage,
  bytes: Uint8Array,
  opaque: ReadonlyMap<string, ReadonlySet<number>> = new Map(),
): number {
  let heap = 0;

  function walk(rule: MessageRule, start: number, end: number, depth: number): void {
    if (depth > maxNesting) {
      throw new WireError(`messages are nested deeper than ${maxNesting}`, start);
    }
    heap += heapCost.message;
    for (let at = start; at < end; ) {
      const tag = readVarint(bytes, at, end);
      if (!tag) throw cutOff(`${rule.name}: a tag is cut off or malformed`, at, end, depth);
      const fieldNumber = Math.floor(tag.value / 8);
      const wireType = tag.value % 8;
      if (fieldNumber === 0 || tag.value > 0xffffffff) {
        throw new WireError(`${rule.name}: field number ${fieldNumber}`, at);
      }
      const field = rule.fields.get(fieldNumber);
      const label = field?.label ?? `field ${fieldNumber}`;
      if (field && !accepts(field, wireType)) {
        throw new WireError(
          `${rule.name}.${label}: wire type ${wireType}, expected ${field.wireType}`,
          at,
        );
      }
      if (wireType === wireTypes.lengthDelimited) {
        at = enter(rule, fieldNumber, field, label, tag.next, end, depth);
      } else {
        at = skipPlain(rule, fieldNumber, wireType, label, tag.next, end, depth);
        if (!field || rule.opaque.has(fieldNumber)) heap += heapCost.view;
        else if (field.list) heap += wireType === 0 ? heapCost.bigint : heapCost.number;
      }
    }
  }

  /** A length-delimited field: text, bytes, packed numbers or a message. */
  function enter(
    rule: MessageRule,
    fieldNumber: number,
    field: FieldRule | undefined,
    label: string,
    at: number,
    end: number,
    depth: number,
  ): number {
    const length = readVarint(bytes, at, end);
    if (!length) throw cutOff(`${rule.name}.${label}: length is cut off`, at, end, depth);
    const next = length.next + length.value;
    if (next > end) {
      throw new WireError(
        `${rule.name}.${label} has ${length.value} bytes, ${end - length.next} are left`,
        at,
        depth === 0 ? next - end : 0,
      );
    }
    if (field?.message) {
      walk(field.message, length.next, next, depth + 1);
    } else if (field?.packable) {
      const count = checkPacked(field.wireType, length.next, next, `${rule.name}.${label}`);
      const each = field.wireType === wireTypes.varint ? heapCost.bigint : heapCost.number;
      heap += rule.opaque.has(fieldNumber) ? heapCost.view : count * each;
    } else {
      heap += heapCost.view;
    }
    return next;
  }

  function skipPlain(
    rule: MessageRule,
    fieldNumber: number,
    wireType: number,
    label: string,
    at: number,
    end: number,
    depth: number,
  ): number {
    if (wireType === wireTypes.startGroup) return skipGroup(rule, fieldNumber, at, end, depth + 1);
    if (wireType === wireTypes.varint) {
      for (let next = at; next < end && next < at + 10; ) if (bytes[next++]! < 0x80) return next;
    } else if (wireType === wireTypes.bit32 || wireType === wireTypes.bit64) {
      const next = at + (wireType === wireTypes.bit32 ? 4 : 8);
      if (next <= end) return next;
    } else {
      throw new WireError(`${rule.name}.${label}: wire type ${wireType}`, at);
    }
    throw cutOff(`${rule.name}.${label} is cut off`, at, end, depth);
  }

  /** Groups are older than ONNX; one inside is an unknown field that must survive. */
  function skipGroup(
    rule: MessageRule,
    group: number,
    start: number,
    end: number,
    depth: number,
  ): number {
    if (depth > maxNesting) {
      throw new WireError(`groups are nested deeper than ${maxNesting}`, start);
    }
    for (let at = start; at < end; ) {
      const tag = readVarint(bytes, at, end);
      if (!tag || tag.value < 8 || tag.value > 0xffffffff) break;
      const fieldNumber = Math.floor(tag.value / 8);
      const wireType = tag.value % 8;
      if (wireType === wireTypes.endGroup) {
        if (fieldNumber !== group) break;
        return tag.next;
      }
      const label = `field ${fieldNumber}`;
      at =
        wireType === wireTypes.lengthDelimited
          ? enter(rule, fieldNumber, undefined, label, tag.next, end, depth)
          : skipPlain(rule, fieldNumber, wireType, label, tag.next, end, depth);
    }
    throw new WireError(`${rule.name}: group ${group} has no end`, start);
  }

  /** Packed numbers must fill their field exactly. Returns how many there are. */
  function checkPacked(wireType: number, start: number, end: number, label: string): number {
    if (wireType !== wireTypes.varint) {
      const width = wireType === wireTypes.bit32 ? 4 : 8;
      const count = (end - start) / width;
      if (Number.isInteger(count)) return count;
      throw new WireError(`${label} has ${end - start} bytes, not a multiple of ${width}`, start);
    }
    let count = 0;
    let first = start;
    for (let at = start; at < end; at++) {
      if (bytes[at]! < 0x80) {
        count++;
        first = at + 1;
      } else if (at - first >= 9) {
        break;
      }
    }
    if (first === end) return count;
    throw new WireError(`${label}: a number is cut off or longer than ten bytes`, first);
  }

  walk(ruleOf(desc, opaque), 0, bytes.length, 0);
  return heap;
}

/** The file ended: reported as missing bytes when that happened in the outermost message. */
function cutOff(message: string, at: number, end: number, depth: number): WireError {
  return new WireError(message, at, depth === 0 && end - at < 10 ? 1 : 0);
}

function accepts(field: FieldRule, wireType: number): boolean {
  return wireType === field.wireType || (field.packable && wireType === wireTypes.lengthDelimited);
}

function ruleOf(
  desc: DescMessage,
  opaque: ReadonlyMap<string, ReadonlySet<number>>,
  made = new Map<string, MessageRule>(),
): MessageRule {
  const known = made.get(desc.typeName);
  if (known) return known;
  const fields = new Map<number, FieldRule>();
  const rule = { name: desc.name, fields, opaque: opaque.get(desc.typeName) ?? new Set<number>() };
  made.set(desc.typeName, rule);
  for (const field of desc.fields) {
    const wireType = wireTypeOf(field);
    const list = field.fieldKind === 'list';
    fields.set(field.number, {
      label: field.name,
      wireType,
      list,
      packable: list && wireType !== wireTypes.lengthDelimited,
      message: field.message && ruleOf(field.message, opaque, made),
    });
  }
  return rule;
}

function wireTypeOf(field: DescField): number {
  if (field.message) return wireTypes.lengthDelimited;
  switch (field.scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return wireTypes.lengthDelimited;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return wireTypes.bit32;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return wireTypes.bit64;
    default:
      return wireTypes.varint; // the other integers, bool, and enums, which have no scalar type
  }
}
