/**
 * A rectangle of one picture pasted into another. Where mixup shows a student pictures that look
 * like none, each part of these is a real one.
 * Source: Yun et al. 2019 (arXiv:1905.04899), areas uniform in [0, 1] before the border clips them.
 */
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import type { Random } from '../random.js';
import type { AugmentOptions } from './augment.js';

/** Sizes and strides of one picture. */
export interface Grid {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly perChannel: number;
  readonly perRow: number;
  readonly perPixel: number;
}

/** Rows and columns, those of `bottom` and `right` not included. */
export interface Patch {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/**
 * @param tensor a batch, dims [N,C,H,W] or [N,H,W,C]
 * @throws PareError `data-mismatch` for what is no batch of pictures
 */
export function gridOf(
  { dims, dataType }: HostTensor,
  layout: AugmentOptions['layout'],
  name: string,
): Grid {
  if (dims.length !== 4) {
    throw new PareError(
      'data-mismatch',
      `cutmix: input "${name}" is ${dataType} [${dims.join(',')}], and only pictures have patches`,
      { tensor: name, hint: 'mixup works on any floats' },
    );
  }
  const [, a, b, c] = dims as [number, number, number, number];
  return layout === 'NCHW'
    ? { channels: a, height: b, width: c, perChannel: b * c, perRow: c, perPixel: 1 }
    : { channels: c, height: a, width: b, perChannel: 1, perRow: b * c, perPixel: c };
}

/**
 * A rectangle of 1 - part of the picture around any pixel; less where it reaches over the border.
 * `own` is the share that it leaves as it was.
 */
export function drawPatch(
  { height, width }: Grid,
  part: number,
  random: Random,
): { own: number; patch: Patch } {
  const side = Math.sqrt(1 - part);
  const [high, wide] = [Math.round(height * side), Math.round(width * side)];
  const top = random.int(height) - (high >> 1);
  const left = random.int(width) - (wide >> 1);
  const patch = {
    top: Math.max(0, top),
    left: Math.max(0, left),
    bottom: Math.min(height, top + high),
    right: Math.min(width, left + wide),
  };
  const pasted = (patch.bottom - patch.top) * (patch.right - patch.left);
  return { own: 1 - pasted / (height * width), patch };
}

/** Copies the patch of one picture to its place in another. */
export function pastePatch(from: Float32Array, to: Float32Array, patch: Patch, grid: Grid): void {
  const { channels, perChannel, perRow, perPixel } = grid;
  for (let channel = 0; channel < channels; channel++) {
    for (let y = patch.top; y < patch.bottom; y++) {
      const row = channel * perChannel + y * perRow;
      for (let x = patch.left; x < patch.right; x++) {
        to[row + x * perPixel] = from[row + x * perPixel]!;
      }
    }
  }
}
