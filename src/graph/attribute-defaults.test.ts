import { expect, test } from 'vitest';
import { attributeDefault } from './attribute-defaults.js';

test.each([
  ['Conv', 'group', undefined, 1],
  ['Conv', 'auto_pad', undefined, 'NOTSET'],
  ['Gemm', 'alpha', 13, 1],
  ['LSTM', 'direction', 14, 'forward'],
  ['RNN', 'activations', 14, ['Tanh', 'Tanh']],
  ['MeanVarianceNormalization', 'axes', 13, [0, 2, 3]],
  ['com.microsoft:FusedMatMul', 'transA', undefined, 0],
  ['com.microsoft:MatMulNBits', 'bits', undefined, 4],
])('%s has a default of %s', (op, name, opset, value) => {
  expect(attributeDefault(op, name, opset)).toEqual(value);
});

test('a default that changed depends on the opset', () => {
  expect(attributeDefault('Softmax', 'axis', 12)).toBe(1);
  expect(attributeDefault('Softmax', 'axis', 13)).toBe(-1);
  expect(attributeDefault('Softmax', 'axis')).toBe(-1);
  expect(attributeDefault('GridSample', 'mode', 16)).toBe('bilinear');
  expect(attributeDefault('GridSample', 'mode', 20)).toBe('linear');
});

test('a default goes with its attribute', () => {
  expect(attributeDefault('BatchNormalization', 'spatial', 8)).toBe(1);
  expect(attributeDefault('BatchNormalization', 'spatial', 9)).toBeUndefined();
  expect(attributeDefault('Dropout', 'ratio', 11)).toBe(0.5);
  expect(attributeDefault('Dropout', 'ratio', 12)).toBeUndefined();
});

test('numbers are those of a file, in float32', () => {
  expect(attributeDefault('BatchNormalization', 'epsilon')).toBe(Math.fround(1e-5));
  expect(attributeDefault('Clip', 'max', 6)).toBe(3.4028234663852886e38);
});

test('what has no default has none', () => {
  expect(attributeDefault('Conv', 'strides')).toBeUndefined();
  expect(attributeDefault('Cast', 'to')).toBeUndefined();
  expect(attributeDefault('NoSuchOperator', 'axis')).toBeUndefined();
  expect(attributeDefault('constructor', 'name')).toBeUndefined();
  expect(attributeDefault('Conv', 'constructor')).toBeUndefined();
});
