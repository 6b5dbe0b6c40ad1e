import { expect, test } from 'vitest';
import { freeTensors } from './free-tensors.js';
import { hostTensor } from './host-tensor.js';

const floats = () => hostTensor('float', [1000], new Float32Array(1000).fill(1));

test('what is freed has no elements any more, once and for several tensors', () => {
  for (let round = 0; round < 3; round++) {
    const [a, b] = [floats(), hostTensor('float16', [4], new Uint16Array(4))];
    freeTensors({ a, b, again: a });
    expect(a.data.length).toBe(0);
    expect(b.data.length).toBe(0);
  }
});

test('an array that shares its buffer with others stays', () => {
  const both = new Float32Array([1, 2, 3, 4]);
  const half = hostTensor('float', [2], both.subarray(0, 2));
  freeTensors({ half, texts: hostTensor('string', [1], ['a']) });
  expect([...both]).toEqual([1, 2, 3, 4]);
});

test('empty arrays and no tensors at all', () => {
  freeTensors({});
  freeTensors({ empty: hostTensor('float', [0], new Float32Array()) });
});
