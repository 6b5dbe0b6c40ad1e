/**
 * Options that several commands have in common. Loads nothing but zod: help needs no more.
 */
import * as z from 'zod/mini';

const described = (description: string, more: object = {}) => z.meta({ description, ...more });

export const targetField = z._default(
  z
    .enum(['node', 'wasm', 'webgpu'])
    .check(described('runtime that the model is made for and measured on')),
  'node',
);

/** Options of every command that reads data. */
export const dataFields = {
  data: z.optional(
    z.string().check(
      described('samples: a folder, zip, npz, IDX, CSV, JSONL or module', {
        placeholder: 'PATH',
      }),
    ),
  ),
  preprocess: z.optional(
    z.string().check(
      described('a preset (imagenet, cifar10, mnist, raw ...), JSON, or a JSON file', {
        placeholder: 'PRESET|JSON|FILE',
      }),
    ),
  ),
  samples: z.optional(
    z.int().check(z.minimum(1), described('use at most so many samples', { placeholder: 'N' })),
  ),
};

/** For every command whose result is worth looking at. */
export const reportField = z.optional(
  z.string().check(
    described('also write a report: one HTML page, or its data as JSON, by the ending of FILE', {
      placeholder: 'FILE',
    }),
  ),
);

/** Options of commands that can put integers at the borders of a model. */
export const borderFields = {
  quantizeInput: z._default(
    z
      .boolean()
      .check(
        described('take raw uint8 inputs: the scale, mean and std of --preprocess are folded in'),
      ),
    false,
  ),
  inputLayout: z.optional(
    z
      .enum(['NCHW', 'NHWC'])
      .check(described('layout of the raw input (default: that of the float input)')),
  ),
  quantizeOutput: z._default(
    z.boolean().check(described('give uint8 outputs, with their scale in the metadata')),
    false,
  ),
};

/** Options of commands that keep a promise on quality. */
export const promiseFields = {
  maxDrop: z.optional(
    z
      .number()
      .check(
        z.minimum(0),
        described('most points of accuracy that may be lost; needs labels', { unit: 'points' }),
      ),
  ),
  maxFlips: z.optional(
    z
      .number()
      .check(
        z.minimum(0),
        described('most percent of predictions that may change', { unit: 'points' }),
      ),
  ),
  minSnr: z.optional(
    z.number().check(described('least signal-to-noise ratio of the outputs', { unit: 'dB' })),
  ),
};
