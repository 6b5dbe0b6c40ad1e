/**
 * The values of --dims.
 */
import { PareError } from '../errors.js';

/** 'seq=128' as { seq: 128 }, 'image=1x3x224x224' as all dims of an input. Throws `usage`. */
export function parseDims(texts: readonly string[]): Record<string, number | number[]> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name, sizes] = /^(.+)=(\d+(?:x\d+)*)$/.exec(text) ?? [];
      if (name === undefined || sizes === undefined) {
        throw new PareError('usage', `--dims: expected NAME=N or INPUT=NxNxN, got "${text}"`);
      }
      const numbers = sizes.split('x').map(Number);
      return [name, sizes.includes('x') ? numbers : numbers[0]!];
    }),
  );
}
