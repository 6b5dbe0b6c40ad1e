import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { ModelProtoSchema } from '../onnx/schema/onnx_pb.js';
import { centerCrop, type Image, toColor } from './image.js';
import type { Interpolation } from './preprocess.js';
import { resizedSize, resizeImage } from './resize.js';

const noise = (width: number, height: number, channels: number): Image => ({
  width,
  height,
  channels,
  data: Uint8Array.from(
    { length: width * height * channels },
    (_, i) => (i * 7919 + (i >> 3) * 104729) & 255,
  ),
});

/** ONNX Runtime's Resize with antialias: an implementation that shares nothing with ours. */
async function oracle(
  image: Image,
  height: number,
  width: number,
  mode: string,
  antialias: boolean,
) {
  const text = (name: string, value: string) => ({
    name,
    type: 3,
    s: new TextEncoder().encode(value),
  });
  const attribute = [
    text('mode', mode),
    text('coordinate_transformation_mode', 'half_pixel'),
    { name: 'antialias', type: 2, i: antialias ? 1n : 0n },
    { name: 'cubic_coeff_a', type: 1, f: -0.5 },
    { name: 'exclude_outside', type: 2, i: 1n },
  ];
  const dims = [1, image.channels, image.height, image.width];
  const port = (name: string) => ({
    name,
    type: {
      value: {
        case: 'tensorType' as const,
        value: { elemType: 1, shape: { dim: dims.map(() => ({})) } },
      },
    },
  });
  const model = create(ModelProtoSchema, {
    irVersion: 9n,
    opsetImport: [{ domain: '', version: 18n }],
    graph: {
      name: 'resize',
      node: [{ opType: 'Resize', input: ['x', '', '', 'sizes'], output: ['y'], attribute }],
      input: [port('x')],
      output: [port('y')],
      initializer: [
        {
          name: 'sizes',
          dataType: 7,
          dims: [4n],
          int64Data: [1n, BigInt(image.channels), BigInt(height), BigInt(width)],
        },
      ],
    },
  });
  const session = await InferenceSession.create(toBinary(ModelProtoSchema, model));
  const planes = new Float32Array(image.data.length);
  const size = image.width * image.height;
  for (let i = 0; i < image.data.length; i++)
    planes[(i % image.channels) * size + Math.floor(i / image.channels)] = image.data[i]!;
  const { y } = await session.run({ x: new Tensor('float32', planes, dims) });
  await session.release();
  return y!.data as Float32Array;
}

const filters: [Interpolation, string][] = [
  ['bilinear', 'linear'],
  ['bicubic', 'cubic'],
];

describe('resizeImage', () => {
  it.each(filters)('agrees with the runtime on %s, smaller and larger', async (ours, theirs) => {
    for (const [height, width] of [
      [9, 13],
      [40, 50],
      [31, 8],
    ] as const) {
      const image = noise(29, 23, 3);
      // Within 64..191 bicubic overshoot is not clamped, which the oracle would not do.
      image.data.forEach((x, i) => void (image.data[i] = 64 + (x >> 1)));
      const expected = await oracle(image, height, width, theirs, true);
      const actual = resizeImage(image, [height, width], ours).data;
      let worst = 0;
      for (let i = 0; i < actual.length; i++) {
        const plane = expected[(i % 3) * height * width + Math.floor(i / 3)]!;
        worst = Math.max(worst, Math.abs(actual[i]! - Math.min(255, Math.max(0, plane))));
      }
      // Bytes are rounded between the passes and at the end.
      expect(worst).toBeLessThan(1.5);
    }
  });

  it('weighs as Pillow does when halving: 3/7, 3/7, 1/7 at the border', () => {
    const row: Image = { width: 4, height: 1, channels: 1, data: Uint8Array.of(70, 140, 210, 0) };
    // (3 * 70 + 3 * 140 + 210) / 7 = 120; (140 + 3 * 210) / 7 = 110.
    expect(resizeImage(row, [1, 2]).data).toEqual(Uint8Array.of(120, 110));
    // Without antialias only the two pixels around the centre count.
    expect(resizeImage(row, [1, 2], 'bilinear', false).data).toEqual(Uint8Array.of(105, 105));
  });

  it('picks the pixel at the centre for nearest', () => {
    const row: Image = { width: 4, height: 1, channels: 1, data: Uint8Array.of(1, 2, 3, 4) };
    expect(resizeImage(row, [1, 2], 'nearest').data).toEqual(Uint8Array.of(2, 4));
    expect(resizeImage(row, [2, 4], 'nearest').data).toEqual(Uint8Array.of(1, 2, 3, 4, 1, 2, 3, 4));
  });

  it('keeps a flat picture flat, whatever filter and size', () => {
    const size = fc.integer({ min: 1, max: 24 });
    const filter = fc.constantFrom<Interpolation>('nearest', 'bilinear', 'bicubic', 'lanczos');
    fc.assert(
      fc.property(
        size,
        size,
        size,
        size,
        filter,
        fc.integer({ min: 0, max: 255 }),
        (w, h, toW, toH, mode, value) => {
          const image: Image = {
            width: w,
            height: h,
            channels: 1,
            data: new Uint8Array(w * h).fill(value),
          };
          const { data } = resizeImage(image, [toH, toW], mode);
          expect(data.length).toBe(toW * toH);
          expect(data.every((x) => x === value)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps floats unrounded', () => {
    const image = { width: 2, height: 1, channels: 1, data: Float32Array.of(0, 1) };
    expect(resizeImage(image, [1, 1]).data).toEqual(Float32Array.of(0.5));
  });
});

describe('sizes and cuts', () => {
  it('resizes the shorter side, the longer one rounded down', () => {
    expect(resizedSize({ width: 500, height: 375 }, 256)).toEqual([256, 341]);
    expect(resizedSize({ width: 375, height: 500 }, 256)).toEqual([341, 256]);
    expect(resizedSize({ width: 375, height: 500 }, [10, 20])).toEqual([10, 20]);
  });

  it('crops around the centre and refuses a crop larger than the picture', () => {
    const image: Image = {
      width: 4,
      height: 3,
      channels: 1,
      data: Uint8Array.from({ length: 12 }, (_, i) => i),
    };
    expect(centerCrop(image, [1, 2], 'x').data).toEqual(Uint8Array.of(5, 6));
    expect(() => centerCrop(image, [4, 4], 'x')).toThrow(/cannot crop 4x4 out of x, which is 3x4/);
  });

  it('drops alpha, and turns colours to luma', () => {
    const image: Image = { width: 1, height: 1, channels: 4, data: Uint8Array.of(255, 0, 0, 9) };
    expect(toColor(image, 'RGB').data).toEqual(Uint8Array.of(255, 0, 0));
    expect(toColor(image, 'gray').data).toEqual(Uint8Array.of(76));
    expect(
      toColor({ width: 1, height: 1, channels: 1, data: Uint8Array.of(7) }, 'RGB').data,
    ).toEqual(Uint8Array.of(7, 7, 7));
  });
});
