/**
 * Seeded random scores: the baseline that every other criterion has to beat. The same seed and the
 * same family give the same scores, whatever other families there are.
 */
import { createRandom } from '../../random.js';
import type { Criterion } from './criterion.js';

export const random: Criterion = Object.freeze<Criterion>({
  name: 'random',
  summary: 'chance, as a baseline',
  need: 'weights',
  score({ id, units }, { seed }) {
    const { next } = createRandom(hash(id) ^ Math.imul(seed + 1, 0x9e3779b1));
    return [Float64Array.from({ length: units }, next)];
  },
});

/** FNV-1a. */
function hash(text: string): number {
  let result = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    result = Math.imul(result ^ text.charCodeAt(i), 0x01000193);
  }
  return result;
}
