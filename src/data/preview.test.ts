import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { hostTensor } from '../engine/host-tensor.js';
import { previewOf } from './preview.js';

function pixelsOf(preview: ReturnType<typeof previewOf>) {
  if (preview.kind !== 'image') throw new Error(`no image: ${preview.kind}`);
  const bytes = Uint8Array.from(atob(preview.url.split(',')[1]!), (c) => c.charCodeAt(0));
  return decode(bytes);
}

const raw = Uint8Array.from({ length: 3 * 8 * 10 }, (_, at) => (at * 7) % 256);
const sample = (dims: number[], data: Float32Array) => ({
  id: 'a',
  inputs: { '': hostTensor('float', dims, data) },
});

describe('previewOf', () => {
  it('undoes the preprocessing of a picture, channel by channel', () => {
    const mean = [0.485, 0.456, 0.406];
    const std = [0.229, 0.224, 0.225];
    const data = Float32Array.from(raw, (x, at) => {
      const channel = Math.floor(at / 80);
      return (x / 255 - mean[channel]!) / std[channel]!;
    });
    const png = pixelsOf(previewOf(sample([3, 8, 10], data), { scale: 1 / 255, mean, std }));
    expect([png.width, png.height, png.channels]).toEqual([10, 8, 3]);
    const planes = Array.from(
      { length: 3 * 80 },
      (_, at) => png.data[(at % 80) * 3 + Math.floor(at / 80)],
    );
    expect(planes).toEqual([...raw]);
  });

  it('takes channels last and one channel', () => {
    const png = pixelsOf(previewOf(sample([8, 10, 3], Float32Array.from(raw))));
    expect([...png.data]).toEqual([...raw]);
    expect(
      pixelsOf(previewOf(sample([1, 8, 10], Float32Array.from(raw.subarray(0, 80))))).channels,
    ).toBe(1);
  });

  it('stretches numbers whose preprocessing is not known', () => {
    const data = Float32Array.from({ length: 80 }, (_, at) => at / 79 - 0.5);
    const png = pixelsOf(previewOf(sample([8, 10], data)));
    expect([png.data[0], png.data.at(-1)]).toEqual([0, 255]);
  });

  it('shrinks what is large', () => {
    const png = pixelsOf(previewOf(sample([192, 96], new Float32Array(192 * 96).fill(200))));
    expect([png.width, png.height, png.data[0]]).toEqual([48, 96, 200]);
  });

  it('keeps the peaks of a signal', () => {
    const data = new Float32Array(16_000);
    data[8000] = -4;
    const preview = previewOf(sample([16_000], data));
    expect(preview.kind === 'wave' && Math.min(...preview.low)).toBe(-1);
    expect(preview.kind === 'wave' && Math.max(...preview.high)).toBe(0);
  });

  it('shows nothing of token ids', () => {
    const inputs = { ids: hostTensor('int64', [3], BigInt64Array.of(1n, 2n, 3n)) };
    expect(previewOf({ id: 'a', inputs })).toEqual({ kind: 'none' });
  });
});
