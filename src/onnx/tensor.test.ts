import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DataType, dataTypeFromCode, dataTypes } from './data-type.js';
import { Tensor } from './tensor.js';

const integers = (Object.keys(dataTypes) as DataType[]).filter((dataType) =>
  ['signed', 'unsigned'].includes(dataTypes[dataType].kind),
);

function rangeOf(dataType: DataType): { min: bigint; max: bigint } {
  const { bits, kind } = dataTypes[dataType];
  const width = BigInt(bits);
  return kind === 'signed'
    ? { min: -(1n << (width - 1n)), max: (1n << (width - 1n)) - 1n }
    : { min: 0n, max: (1n << width) - 1n };
}

describe('Tensor', () => {
  it.each(integers)('%s: values survive packing and unpacking', async (dataType) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.bigInt(rangeOf(dataType)), { maxLength: 9 }), async (values) => {
        const tensor = Tensor.of(dataType, [values.length], values);
        expect(tensor.byteLength).toBe(Math.ceil((values.length * dataTypes[dataType].bits) / 8));
        expect(Array.from(await tensor.array(), BigInt)).toEqual(values);
      }),
    );
  });

  it('packs the first 4-bit element into the low bits', async () => {
    expect(await Tensor.of('int4', [3], [-8, 7, -1]).bytes()).toEqual(Uint8Array.of(0x78, 0x0f));
    expect(await Tensor.of('uint2', [5], [3, 0, 1, 2, 3]).bytes()).toEqual(
      Uint8Array.of(0b10010011, 0b11),
    );
  });

  it('reads elements at an odd offset of a Node Buffer', async () => {
    const file = Buffer.alloc(16);
    file.writeFloatLE(1.5, 3);
    expect(await Tensor.raw('float', [1], file.subarray(3, 7)).floats()).toEqual(
      Float32Array.of(1.5),
    );
  });

  it('shows every numeric type as float32', async () => {
    expect(await Tensor.raw('float4e2m1', [3], Uint8Array.of(0xf7, 0x02)).floats()).toEqual(
      Float32Array.of(6, -6, 1),
    );
    expect(await Tensor.of('float16', [2], [0.5, 65504]).floats()).toEqual(
      Float32Array.of(0.5, 65504),
    );
    expect(await Tensor.of('int64', [1], [-3]).floats()).toEqual(Float32Array.of(-3));
    expect(await Tensor.of('bool', [2], [1, 0]).numbers()).toEqual([1, 0]);
  });

  it('refuses bytes that do not fit the dims', () => {
    expect(() => Tensor.raw('int4', [3], new Uint8Array(3))).toThrow('int4[3] needs 2');
  });

  it('has a code for every data type of the specification', () => {
    for (let code = 1; code <= 26; code++) {
      expect(dataTypes[dataTypeFromCode(code)!].code).toBe(code);
    }
    expect(dataTypeFromCode(0)).toBeUndefined();
    expect(dataTypeFromCode(27)).toBeUndefined();
  });
});
