import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Folded, foldRepeats } from './fold-repeats.js';

const fold = (text: string) => shown(foldRepeats([...text], (c) => c));

function shown(list: readonly Folded<string>[]): string {
  return list
    .map((each) => ('item' in each ? each.item : `${each.times}(${shown(each.items)})`))
    .join('');
}

function unfold(list: readonly Folded<string>[]): string {
  return list
    .map((each) => ('item' in each ? each.item : unfold(each.items).repeat(each.times)))
    .join('');
}

describe('foldRepeats', () => {
  it.each([
    ['', ''],
    ['abcd', 'abcd'],
    ['abcabcabcd', '3(abc)d'],
    // Conv Relu, then nine blocks: the first two of a block do not fold with the stem.
    [`cr${'crcar'.repeat(9)}gf`, 'cr9(crcar)gf'],
    // A block that changes the width before two that do not, twice.
    ['xabababxabab', 'x3(ab)x2(ab)'],
    ['xababxabab', '2(x2(ab))'],
  ])('%s is %s', (text, expected) => {
    expect(fold(text)).toBe(expected);
  });

  it('keeps every item in its place', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 60 }), (text) => {
        const folded = foldRepeats([...text], (c) => c);
        expect(unfold(folded)).toBe(text);
        const all = folded.flatMap((each) => ('item' in each ? [each.item] : each.all.flat()));
        expect(all.join('')).toBe(text);
      }),
      { numRuns: 200 },
    );
  });
});
