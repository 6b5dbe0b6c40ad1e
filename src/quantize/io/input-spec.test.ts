import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostTensor } from '../../engine/host-tensor.js';
import { floatFeeds, type InputSpec, rawFeeds } from './input-spec.js';

const spec: InputSpec = {
  name: 'x',
  dataType: 'uint8',
  dims: ['N', 2, 3, 3],
  layout: 'NHWC',
  colorOrder: 'RGB',
  channelAxis: 3,
  range: [0, 255],
  folded: { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  axes: [0, 2, 3, 1],
  scale: 0.017,
  zeroPoint: 114,
  value: 'x_dequantized',
};

test('raw feeds to float feeds and back are the same bytes', () => {
  const bytes = fc.uint8Array({ minLength: 36, maxLength: 36 });
  fc.assert(
    fc.property(bytes, (data) => {
      const raw = { x: hostTensor('uint8', [2, 2, 3, 3], data) };
      const float = floatFeeds([spec], raw);
      expect(float.x!.dims).toEqual([2, 3, 2, 3]);
      expect(rawFeeds([spec], float)).toEqual(raw);
    }),
  );
});

test('the channels of NHWC become those of NCHW', () => {
  const data = Uint8Array.from({ length: 18 }, (_, i) => i);
  const { x } = floatFeeds([spec], { x: hostTensor('uint8', [1, 2, 3, 3], data) });
  // Red of the second pixel is byte 3; it is element 1 of the first plane.
  expect((x!.data as Float32Array)[1]).toBeCloseTo((3 / 255 - 0.485) / 0.229, 6);
  expect((x!.data as Float32Array)[6]).toBeCloseTo((1 / 255 - 0.456) / 0.224, 6);
});

test('raw feeds, and inputs without a record, pass through', () => {
  const feeds = {
    x: hostTensor('uint8', [1, 2, 3, 3], new Uint8Array(18)),
    y: hostTensor('float', [1], new Float32Array(1)),
  };
  expect(rawFeeds([spec], feeds)).toEqual(feeds);
  expect(floatFeeds([], feeds)).toEqual(feeds);
});

test.each([0.5, 9])('the value %d comes from no byte', (value) => {
  const feeds = { x: hostTensor('float', [1, 3, 1, 1], new Float32Array(3).fill(value)) };
  expect(() => rawFeeds([spec], feeds)).toThrow(/quantize-input: the value .* as a raw uint8/);
});
