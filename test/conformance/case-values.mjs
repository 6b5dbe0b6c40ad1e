/**
 * The values of a backend test case: TensorProto, SequenceProto and OptionalProto files as tensors
 * in memory, and the comparison of what a run returned with what the case expects.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';

/**
 * A tensor, a list, or something optional:
 * { tensor } | { items: value[] } | { optional: value | undefined }
 */
export function createValueReader({ TensorProtoSchema, tensorFromProto }) {
  const tensor = (bytes) => ({
    tensor: tensorFromProto(fromBinary(TensorProtoSchema, bytes), new Map()),
  });
  // SequenceProto: tensors in field 3, sequences in 5, optionals in 7.
  const sequence = (bytes) => ({
    items: fieldsOf(bytes).flatMap(([field, content]) => {
      if (field === 3) return [tensor(content)];
      if (field === 5) return [sequence(content)];
      return field === 7 ? [optional(content)] : [];
    }),
  });
  // OptionalProto: a tensor in field 3, a sequence in 5, an optional in 7.
  const optional = (bytes) => {
    const read = { 3: tensor, 5: sequence, 7: optional };
    const found = fieldsOf(bytes).find(([field]) => read[field]);
    return { optional: found && read[found[0]](found[1]) };
  };
  return (bytes, type) => {
    if (type?.kind === 'sequence') return sequence(bytes);
    return type?.kind === 'optional' ? optional(bytes) : tensor(bytes);
  };
}

/** The length-delimited fields of a message. */
function fieldsOf(bytes) {
  const reader = new BinaryReader(bytes);
  const fields = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType === 2) fields.push([field, reader.bytes()]);
    else reader.skip(wireType);
  }
  return fields;
}

/** The backend's default tolerance. */
const relative = 1e-3;
const absolute = 1e-7;

/** Why two tensors differ: { dataType, dims, numbers or strings } each; undefined when they agree. */
export function difference(actual, expected) {
  if (actual.dims.join() !== expected.dims.join()) {
    return `dims [${actual.dims}], expected [${expected.dims}]`;
  }
  const at = expected.elements.findIndex((want, i) => !agrees(actual.elements[i], want));
  if (at < 0) return undefined;
  return `element ${at} is ${actual.elements[at]}, expected ${expected.elements[at]}`;
}

function agrees(got, want) {
  if (got === want) return true;
  if (typeof got !== 'number' || typeof want !== 'number') return String(got) === String(want);
  if (Number.isNaN(want)) return Number.isNaN(got);
  return Math.abs(got - want) <= absolute + relative * Math.abs(want);
}
