/**
 * The standard preprocessings by name. Data only: what the fields mean is in preprocess.ts.
 * Sources: torchvision's reference transforms (imagenet), the statistics of the training sets
 * (cifar10, cifar100, mnist), Keras' `preprocess_input` modes (tf, caffe), the published
 * processor of openai/clip-vit-base-patch32 (clip) and of google/vit-base-patch16-224 (vit).
 */
import type { Preprocess } from './preprocess.js';

const byte = 1 / 255;
const toUnitSigned: Preprocess = { scale: 1 / 127.5, mean: 1 };

export const presets = Object.freeze({
  /** The numbers as they are stored. */
  raw: {},
  /** Bytes to 0..1. */
  unit: { scale: byte },
  imagenet: {
    resize: 256,
    crop: 224,
    scale: byte,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
  cifar10: { scale: byte, mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
  cifar100: { scale: byte, mean: [0.5071, 0.4867, 0.4408], std: [0.2675, 0.2565, 0.2761] },
  mnist: { scale: byte, mean: 0.1307, std: 0.3081 },
  /** Bytes to -1..1, as Keras' mode "tf". */
  tf: toUnitSigned,
  '-1..1': toUnitSigned,
  /** BGR, ImageNet means subtracted, not scaled, as Keras' mode "caffe". Means in RGB order. */
  caffe: { mean: [123.68, 116.779, 103.939], colorOrder: 'BGR' },
  clip: {
    resize: 224,
    interpolation: 'bicubic',
    crop: 224,
    scale: byte,
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  },
  vit: { resize: [224, 224], scale: byte, mean: 0.5, std: 0.5 },
  /** 16-bit samples to -1..1. */
  audio: { scale: 1 / 32768 },
} satisfies Record<string, Preprocess>);

export type PresetName = keyof typeof presets;

export const presetNames = Object.freeze(Object.keys(presets)) as readonly PresetName[];
