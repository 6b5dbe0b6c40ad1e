/**
 * The 8-bit and 4-bit float formats of ONNX, decoded to float32 by table, and the
 * one that weights are stored in (E4M3FN) encoded.
 * Source: ONNX specification, "Float stored in 8 bits" and "Float stored in 4 bits"
 * (E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ, E8M0, E2M1).
 */
import type { DataType } from './data-type.js';

interface SmallFloat {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  /** How the top codes are used: IEEE infinities and NaN, one NaN at all ones, NaN at minus zero, or none. */
  readonly special: 'ieee' | 'all-ones' | 'minus-zero' | 'none';
}

const formats: Partial<Record<DataType, SmallFloat>> = {
  float8e4m3fn: { exponentBits: 4, mantissaBits: 3, bias: 7, special: 'all-ones' },
  float8e4m3fnuz: { exponentBits: 4, mantissaBits: 3, bias: 8, special: 'minus-zero' },
  float8e5m2: { exponentBits: 5, mantissaBits: 2, bias: 15, special: 'ieee' },
  float8e5m2fnuz: { exponentBits: 5, mantissaBits: 2, bias: 16, special: 'minus-zero' },
  float4e2m1: { exponentBits: 2, mantissaBits: 1, bias: 1, special: 'none' },
};

const tables = new Map<DataType, Float32Array>();

/** Decodes codes (one per array entry) of a float8 or float4 type. Exact. */
export function float8ToFloat32(dataType: DataType, codes: Uint8Array): Float32Array {
  let table = tables.get(dataType);
  if (!table) tables.set(dataType, (table = buildTable(dataType)));
  const out = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) out[i] = table[codes[i]!]!;
  return out;
}

function buildTable(dataType: DataType): Float32Array {
  // E8M0 is a bare exponent: 2^(code - 127), the code 255 is NaN.
  if (dataType === 'float8e8m0') {
    return Float32Array.from({ length: 256 }, (_, code) =>
      code === 255 ? Number.NaN : 2 ** (code - 127),
    );
  }
  const format = formats[dataType];
  if (!format) throw new RangeError(`float8: ${dataType} is not a small float`);
  const size = 1 << (1 + format.exponentBits + format.mantissaBits);
  return Float32Array.from({ length: size }, (_, code) => decodeCode(code, size, format));
}

function decodeCode(code: number, size: number, format: SmallFloat): number {
  const negative = code >= size / 2;
  const magnitude = code % (size / 2);
  const exponent = magnitude >>> format.mantissaBits;
  const mantissa = magnitude & ((1 << format.mantissaBits) - 1);
  const top = (1 << format.exponentBits) - 1;
  if (format.special === 'minus-zero' && negative && magnitude === 0) return Number.NaN;
  if (format.special === 'all-ones' && magnitude === size / 2 - 1) return Number.NaN;
  if (format.special === 'ieee' && exponent === top) {
    if (mantissa !== 0) return Number.NaN;
    return negative ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  const unit = 2 ** -format.mantissaBits;
  const value =
    exponent === 0
      ? mantissa * unit * 2 ** (1 - format.bias)
      : (1 + mantissa * unit) * 2 ** (exponent - format.bias);
  return negative ? -value : value;
}

const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/**
 * The nearest E4M3FN numbers, ties to the even code. What lies beyond 448 saturates, as in Cast
 * and QuantizeLinear with `saturate`; NaN stays NaN.
 *
 * @example float32ToFloat8e4m3fn(Float32Array.of(1, -500)) // 0x38, 0xfe
 */
export function float32ToFloat8e4m3fn(values: Float32Array): Uint8Array {
  const out = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    floatView[0] = values[i]!;
    const bits = bitsView[0]!;
    const sign = (bits >>> 24) & 0x80;
    const magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      out[i] = sign | 0x7f;
      continue;
    }
    // Below the smallest normal number, 2^-6, the steps stay at 2^-9.
    const exponent = Math.max((magnitude >>> 23) - 127, -6);
    const steps = roundHalfEven(Math.abs(values[i]!) * 2 ** (3 - exponent));
    // A carry out of the mantissa moves into the exponent by itself.
    const code = (exponent + 6) * 8 + steps;
    out[i] = sign | (code < 0x7e ? code : 0x7e);
  }
  return out;
}

/** Ties to even, for the few steps that a mantissa has; infinity stays what it is. */
function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}
