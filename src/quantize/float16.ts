/**
 * float16: half the file at almost no loss. On CPUs and WASM it gains no speed (float16 kernels
 * are as fast or slower), so storage is the default; compute is for WebGPU.
 */
import { definePass } from '../pass.js';
import { computeHalf } from './float16/compute.js';
import { float16Options } from './float16/options.js';
import { storeHalf } from './float16/storage.js';

/** @example await applyPass(model, float16, { mode: 'storage' }) */
export const float16 = definePass({
  name: 'float16',
  summary: 'float16 weights: half the size, stored only or computed too, checked against overflow.',
  options: float16Options,
  run: (model, options, context) =>
    options.mode === 'storage'
      ? storeHalf(model, options, context)
      : computeHalf(model, options, context),
});
