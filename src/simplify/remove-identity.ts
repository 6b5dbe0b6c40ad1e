/**
 * Removes Identity. One that joins a graph input to a graph output, or gives one value two output
 * names, is the only way to say so and stays.
 */
import { definePassThrough } from './pass-through.js';

export const removeIdentity = definePassThrough({
  name: 'remove-identity',
  summary: 'Removes Identity nodes.',
  rules: { Identity: () => 0 },
});
