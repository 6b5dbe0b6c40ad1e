import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editScript, unifiedDiff } from './line-diff.js';

const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 });

/** Length of the longest common subsequence, by the textbook table. */
function common(a: readonly string[], b: readonly string[]): number {
  const row = new Array<number>(b.length + 1).fill(0);
  for (const x of a) {
    let diagonal = 0;
    b.forEach((y, j) => {
      const above = row[j + 1]!;
      row[j + 1] = x === y ? diagonal + 1 : Math.max(above, row[j]!);
      diagonal = above;
    });
  }
  return row[b.length]!;
}

describe('editScript', () => {
  test('turns one text into the other, with as few edits as there can be', () => {
    fc.assert(
      fc.property(lines, lines, (a, b) => {
        const [left, right, kept] = [[...a], [...b], [] as string[]];
        for (const edit of editScript(a, b)) {
          const [x, y] = [edit !== '+' && left.shift(), edit !== '-' && right.shift()];
          if (edit !== ' ') continue;
          expect(x).toBe(y);
          kept.push(String(x));
        }
        expect([left, right]).toEqual([[], []]);
        expect(kept).toHaveLength(common(a, b));
      }),
    );
  });

  test('gives up on the shortest way for texts that have nothing in common', () => {
    const a = Array.from({ length: 3000 }, (_, i) => `a${i}`);
    const b = Array.from({ length: 3000 }, (_, i) => `b${i}`);
    expect(editScript(a, b).filter((edit) => edit !== ' ')).toHaveLength(6000);
  });
});

describe('unifiedDiff', () => {
  test('is what diff -u prints', () => {
    const a = `${['1', '2', '3', '4', '5', '6', '7', '8', '9'].join('\n')}\n`;
    const b = a.replace('5\n', 'five\n').replace('9\n', '9\n10\n');
    expect(unifiedDiff(a, b, { names: ['a.txt', 'b.txt'], context: 1 })).toBe(
      [
        '--- a.txt',
        '+++ b.txt',
        '@@ -4,3 +4,3 @@',
        ' 4',
        '-5',
        '+five',
        ' 6',
        '@@ -9 +9,2 @@',
        ' 9',
        '+10',
        '',
      ].join('\n'),
    );
  });

  test('names the line before an empty range', () => {
    expect(unifiedDiff('', 'x\n')).toBe('--- a\n+++ b\n@@ -0,0 +1 @@\n+x\n');
  });

  test('is empty for equal texts', () => {
    expect(unifiedDiff('a\nb\n', 'a\nb\n')).toBe('');
  });
});
