/**
 * Types of values: tensors with dims that may be symbolic, and the container types of ONNX.
 */
import { create } from '@bufbuild/protobuf';
import { type DataType, dataTypeFromCode, dataTypes } from '../onnx/data-type.js';
import {
  type TensorShapeProto,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  type TypeProto,
  TypeProtoSchema,
} from '../onnx/schema/onnx_pb.js';

/** A number, a symbol shared by equal dims, or undefined where nothing is known. */
export type Dim = number | string | undefined;

export type ValueType =
  | {
      readonly kind: 'tensor' | 'sparse-tensor';
      readonly dataType: DataType | undefined;
      /** Undefined when even the rank is unknown. */
      readonly dims: readonly Dim[] | undefined;
    }
  | { readonly kind: 'sequence' | 'optional'; readonly element: ValueType | undefined }
  | {
      readonly kind: 'map';
      readonly key: DataType | undefined;
      readonly value: ValueType | undefined;
    }
  | { readonly kind: 'opaque'; readonly domain: string; readonly name: string };

/** @example tensorType('float', ['N', 3, 224, 224]) */
export function tensorType(dataType: DataType | undefined, dims?: readonly Dim[]): ValueType {
  return { kind: 'tensor', dataType, dims };
}

export function typeFromProto(proto: TypeProto | undefined): ValueType | undefined {
  const type = proto?.value;
  switch (type?.case) {
    case 'tensorType':
      return tensorType(dataTypeFromCode(type.value.elemType), dimsFromProto(type.value.shape));
    case 'sparseTensorType':
      return {
        kind: 'sparse-tensor',
        dataType: dataTypeFromCode(type.value.elemType),
        dims: dimsFromProto(type.value.shape),
      };
    case 'sequenceType':
      return { kind: 'sequence', element: typeFromProto(type.value.elemType) };
    case 'optionalType':
      return { kind: 'optional', element: typeFromProto(type.value.elemType) };
    case 'mapType':
      return {
        kind: 'map',
        key: dataTypeFromCode(type.value.keyType),
        value: typeFromProto(type.value.valueType),
      };
    case 'opaqueType':
      return { kind: 'opaque', domain: type.value.domain, name: type.value.name };
    default:
      return undefined;
  }
}

export function typeToProto(type: ValueType): TypeProto {
  const code = (dataType: DataType | undefined) => (dataType ? dataTypes[dataType].code : 0);
  const nested = (inner: ValueType | undefined) => (inner ? { elemType: typeToProto(inner) } : {});
  switch (type.kind) {
    case 'tensor':
    case 'sparse-tensor': {
      const shape = type.dims && dimsToProto(type.dims);
      const value = { elemType: code(type.dataType), ...(shape && { shape }) };
      return create(TypeProtoSchema, {
        value:
          type.kind === 'tensor'
            ? { case: 'tensorType', value }
            : { case: 'sparseTensorType', value },
      });
    }
    case 'sequence':
      return create(TypeProtoSchema, {
        value: { case: 'sequenceType', value: nested(type.element) },
      });
    case 'optional':
      return create(TypeProtoSchema, {
        value: { case: 'optionalType', value: nested(type.element) },
      });
    case 'map':
      return create(TypeProtoSchema, {
        value: {
          case: 'mapType',
          value: {
            keyType: code(type.key),
            ...(type.value && { valueType: typeToProto(type.value) }),
          },
        },
      });
    case 'opaque':
      return create(TypeProtoSchema, {
        value: { case: 'opaqueType', value: { domain: type.domain, name: type.name } },
      });
  }
}

export function sameType(a: ValueType | undefined, b: ValueType | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function dimsFromProto(shape: TensorShapeProto | undefined): Dim[] | undefined {
  return shape?.dim.map(({ value }) => {
    if (value.case === 'dimValue') return value.value < 0n ? undefined : Number(value.value);
    return value.case === 'dimParam' && value.value !== '' ? value.value : undefined;
  });
}

function dimsToProto(dims: readonly Dim[]): TensorShapeProto {
  return create(TensorShapeProtoSchema, {
    dim: dims.map((dim) => {
      if (typeof dim === 'number') {
        return create(TensorShapeProto_DimensionSchema, {
          value: { case: 'dimValue', value: BigInt(dim) },
        });
      }
      return create(
        TensorShapeProto_DimensionSchema,
        dim === undefined ? {} : { value: { case: 'dimParam', value: dim } },
      );
    }),
  });
}
