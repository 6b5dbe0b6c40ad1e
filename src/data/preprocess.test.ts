import { describe, expect, it } from 'vitest';
import { PareError } from '../errors.js';
import { describePreprocess, parsePreprocess } from './preprocess.js';
import { presetNames, presets } from './presets.js';

function refusal(input: Parameters<typeof parsePreprocess>[0]): PareError {
  try {
    parsePreprocess(input);
  } catch (error) {
    if (error instanceof PareError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('parsePreprocess', () => {
  it('takes every preset by name', () => {
    for (const name of presetNames)
      expect(parsePreprocess({ preset: name })).toEqual(presets[name]);
  });

  it('overrides and clears fields of a preset', () => {
    const options = parsePreprocess(
      '{"preset":"imagenet","mean":[0.5,0.5,0.5],"crop":null,"note":"x"}',
    );
    expect(options).toEqual({ ...presets.imagenet, mean: [0.5, 0.5, 0.5], crop: null });
  });

  it.each([
    ['imagnet', /no preset "imagnet"/, /did you mean "imagenet"/],
    [{ meen: 1 }, /unknown key "meen"/, /did you mean "mean"/],
    [{ resize: 'big' }, /resize: expected a positive whole number/, /resize/],
    [{ std: [1, 0] }, /std/, /std/],
    ['{"mean":', /not valid JSON/, undefined],
  ] as const)('refuses %j', (input, message, hint) => {
    const error = refusal(input);
    expect(error.code).toBe('usage');
    expect(error.message).toMatch(message);
    if (hint) expect(error.hint).toMatch(hint);
  });

  it('describes itself in one line', () => {
    expect(describePreprocess(parsePreprocess('imagenet'))).toBe(
      'resize 256 (bilinear), crop 224, scale 0.003921569, mean [0.485,0.456,0.406], std [0.229,0.224,0.225]',
    );
    expect(describePreprocess({})).toBe('raw values');
  });
});

describe('preprocessor_config.json', () => {
  const normalize = { do_normalize: true, image_mean: [0.5, 0.4, 0.3], image_std: [0.2, 0.2, 0.1] };

  it('reads ViT: both sides, bilinear', () => {
    const config = {
      do_resize: true,
      size: { height: 224, width: 192 },
      resample: 2,
      ...normalize,
    };
    expect(parsePreprocess(config)).toEqual({
      resize: [224, 192],
      interpolation: 'bilinear',
      scale: 1 / 255,
      mean: [0.5, 0.4, 0.3],
      std: [0.2, 0.2, 0.1],
    });
  });

  it('reads CLIP: shorter side, bicubic, centre crop, in the old form and the new', () => {
    const rest = { do_resize: true, resample: 3, do_center_crop: true, ...normalize };
    const wanted = { resize: 224, interpolation: 'bicubic', crop: [224, 224] };
    expect(parsePreprocess({ ...rest, size: 224, crop_size: 224 })).toMatchObject(wanted);
    const crop = { height: 224, width: 224 };
    const size = { shortest_edge: 224 };
    expect(parsePreprocess({ ...rest, size, crop_size: crop })).toMatchObject(wanted);
  });

  it('reads ConvNeXT: resizes to size / crop_pct and crops', () => {
    const config = {
      image_processor_type: 'ConvNextImageProcessor',
      size: { shortest_edge: 224 },
      crop_pct: 0.875,
      ...normalize,
    };
    expect(parsePreprocess(config)).toMatchObject({ resize: 256, crop: [224, 224] });
  });

  it('takes the other names: no rescale, flipped channels, offset', () => {
    expect(
      parsePreprocess({ do_resize: false, do_rescale: false, do_flip_channel_order: true }),
    ).toEqual({ scale: 1, colorOrder: 'BGR' });
    expect(
      parsePreprocess({
        do_normalize: false,
        do_rescale: true,
        rescale_offset: true,
        rescale_factor: 1 / 127.5,
      }),
    ).toEqual({ scale: 1 / 127.5, mean: 1, std: 1 });
  });

  it.each([
    [{ feature_extractor_type: 'Wav2Vec2FeatureExtractor', sampling_rate: 16000 }, /audio/],
    [{ do_pad: true, do_resize: true }, /do_pad/],
    [{ do_resize: true, size: 224, resample: 5 }, /resample is 5/],
    [{ do_resize: true, size: { longest_edge: 300 } }, /size/],
  ])('refuses %j', (config, message) => {
    expect(refusal(config).message).toMatch(message);
  });
});
