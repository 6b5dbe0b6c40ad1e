import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostTensor, PortInfo } from '../engine/engine.js';
import type { DataType } from '../onnx/data-type.js';
import { fitDims } from './fit-input.js';
import { prepare } from './prepare.js';
import type { Preprocess } from './preprocess.js';

const port = (dims: readonly (number | string)[], dataType: DataType = 'float'): PortInfo => ({
  name: 'x',
  dataType,
  dims,
});
const bytes = (dims: readonly number[]): HostTensor => ({
  dataType: 'uint8',
  dims,
  data: Uint8Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i),
});
const array = (tensor: HostTensor, to: PortInfo | undefined, options: Preprocess = {}) =>
  prepare({ tensor, isImage: false }, options, to, 's');
const picture = (tensor: HostTensor, to: PortInfo | undefined, options: Preprocess = {}) =>
  prepare({ tensor, isImage: true }, options, to, 's');

describe('prepare: layout', () => {
  it('infers NCHW and NHWC from the place of the channel dim', () => {
    const nchw = picture(bytes([2, 2, 3]), port(['N', 3, 2, 2]));
    expect(nchw.dims).toEqual([3, 2, 2]);
    expect([...(nchw.data as Float32Array)]).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
    const nhwc = picture(bytes([2, 2, 3]), port(['N', 2, 2, 3]));
    expect([...(nhwc.data as Float32Array)]).toEqual([...Array(12).keys()]);
  });

  it('makes pictures NCHW where the model does not tell', () => {
    expect(picture(bytes([2, 5, 3]), undefined)).toMatchObject({
      dataType: 'float',
      dims: [3, 2, 5],
    });
    expect(picture(bytes([2, 5, 3]), port(['N', 'C', 'H', 'W'])).dims).toEqual([3, 2, 5]);
  });

  it('moves HWC arrays where the model wants CHW and leaves CHW arrays alone', () => {
    expect(array(bytes([5, 4, 3]), port(['N', 3, 5, 4])).dims).toEqual([3, 5, 4]);
    const chw = array(bytes([3, 5, 4]), port(['N', 3, 5, 4]), { layout: 'NCHW' });
    expect([...(chw.data as Float32Array)]).toEqual([...Array(60).keys()]);
    expect(array(bytes([3, 5, 4]), port(['N', 5, 4, 3])).dims).toEqual([5, 4, 3]);
  });

  it('makes gray of pictures for a one-channel input', () => {
    const gray = picture(
      { dataType: 'uint8', dims: [1, 1, 3], data: Uint8Array.of(10, 10, 10) },
      port([1, 1, 1, 1]),
    );
    expect(gray).toEqual({ dataType: 'float', dims: [1, 1, 1], data: Float32Array.of(10) });
  });

  it('puts in sizes of one, takes them out, and reshapes', () => {
    expect(array(bytes([28, 28]), port(['N', 1, 28, 28])).dims).toEqual([1, 28, 28]);
    expect(array(bytes([6]), port([1, 6])).dims).toEqual([6]);
    expect(array(bytes([1, 6]), port(['N', 6])).dims).toEqual([6]);
    expect(array(bytes([49, 10, 1]), port(['N', 1, 49, 10]), { shape: [1, 49, 10] }).dims).toEqual([
      1, 49, 10,
    ]);
    expect(array(bytes([2, 3]), port([2, 3])).dims).toEqual([2, 3]);
  });
});

describe('prepare: numbers', () => {
  it('computes (x * scale - mean) / std per channel, then turns to BGR', () => {
    const options: Preprocess = { scale: 0.5, mean: [0, 1, 2], std: [1, 2, 4], colorOrder: 'BGR' };
    const tensor: HostTensor = {
      dataType: 'uint8',
      dims: [1, 1, 3],
      data: Uint8Array.of(10, 20, 30),
    };
    expect([...(picture(tensor, port(['N', 3, 1, 1]), options).data as Float32Array)]).toEqual([
      3.25, 4.5, 5,
    ]);
    expect([...(array(tensor, port(['N', 3, 1, 1]), options).data as Float32Array)]).toEqual([
      3.25, 4.5, 5,
    ]);
  });

  it('takes several means for the features of a row', () => {
    const row: HostTensor = { dataType: 'double', dims: [2], data: Float64Array.of(3, 4) };
    expect(array(row, port(['N', 2]), { mean: [1, 2] }).data).toEqual(Float32Array.of(2, 2));
  });

  it('casts to what the input wants, exactly for integers', () => {
    const big: HostTensor = {
      dataType: 'int64',
      dims: [1],
      data: BigInt64Array.of(2n ** 62n + 1n),
    };
    expect(array(big, port(['N', 1], 'int64')).data).toEqual(BigInt64Array.of(2n ** 62n + 1n));
    const ids: HostTensor = { dataType: 'int64', dims: [3], data: BigInt64Array.of(1n, -2n, 3n) };
    expect(array(ids, port([1, 's'], 'int32')).data).toEqual(Int32Array.of(1, -2, 3));
    const half: HostTensor = {
      dataType: 'double',
      dims: [3],
      data: Float64Array.of(1.5, 2.5, -2.5),
    };
    expect(array(half, port([1, 's'], 'int64')).data).toEqual(BigInt64Array.of(2n, 2n, -2n));
    expect(array(half, port([1, 's'], 'float16')).data).toEqual(
      Uint16Array.of(0x3e00, 0x4100, 0xc100),
    );
    expect(array({ ...half, data: Float64Array.of(0, 1, 2) }, port([1, 's'], 'bool')).data).toEqual(
      Uint8Array.of(0, 1, 1),
    );
  });

  it('refuses values that do not fit the type', () => {
    const tensor: HostTensor = { dataType: 'float', dims: [2], data: Float32Array.of(1, -0.6) };
    expect(() => array(tensor, port([1, 2], 'uint8'))).toThrow(
      /value -0\.60\d* \(element 1 of sample "s"\) does not fit .* uint8/,
    );
    const nan: HostTensor = { dataType: 'float', dims: [1], data: Float32Array.of(Number.NaN) };
    expect(() => array(nan, port([1, 1], 'int64'))).toThrow(/does not fit/);
  });

  it('cuts and fills one-dimensional samples', () => {
    expect(array(bytes([3]), port([1, 5]), { length: 5 }).data).toEqual(
      Float32Array.of(0, 1, 2, 0, 0),
    );
    expect(array(bytes([3]), port([1, 2]), { length: 2 }).data).toEqual(Float32Array.of(0, 1));
  });

  it('resizes arrays that are pictures and refuses others', () => {
    expect(array(bytes([4, 4]), port(['N', 1, 2, 2]), { resize: 2 }).dims).toEqual([1, 2, 2]);
    expect(array(bytes([3, 4, 4]), port(['N', 3, 2, 2]), { resize: 2 }).dims).toEqual([3, 2, 2]);
    expect(() => array(bytes([7]), port(['N', 7]), { resize: 2 })).toThrow(/not a picture/);
  });
});

describe('prepare: mismatch', () => {
  it.each([
    [
      () => picture(bytes([30, 30, 3]), port(['N', 3, 28, 28])),
      /\[30,30,3\].*"x" float \[N,3,28,28\]/,
    ],
    [() => array(bytes([49, 10]), port(['N', 1, 49, 11])), /\[49,10\].*"x" float \[N,1,49,11\]/],
    [() => array(bytes([4]), port(['N', 4]), { shape: [5] }), /"shape" \[5\]/],
    [() => picture(bytes([2, 2, 3]), port(['N', 3, 2, 2]), { mean: [1, 2] }), /has 2 entries/],
  ])('shows both sides (%#)', (work, message) => {
    expect(work).toThrow(message);
    expect(work).toThrow(expect.objectContaining({ code: 'data-mismatch' }));
  });
});

describe('fitDims', () => {
  it('keeps the element count and agrees with the fixed dims', () => {
    const dim = fc.integer({ min: 1, max: 4 });
    const wanted = fc.array(fc.oneof(dim, fc.constantFrom('N', '')), { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(dim, { maxLength: 4 }), wanted, (dims, portDims) => {
        const fitted = fitDims(dims, portDims);
        if (!fitted) return;
        const count = (list: readonly number[]) => list.reduce((a, b) => a * b, 1);
        expect(count(fitted)).toBe(count(dims));
        const tail = portDims.slice(portDims.length - fitted.length);
        fitted.forEach(
          (size, i) => void (typeof tail[i] === 'number' && expect(size).toBe(tail[i])),
        );
      }),
    );
  });
});
