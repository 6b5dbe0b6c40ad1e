import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStyle } from './style.js';
import { type Column, table } from './table.js';
import { displayWidth } from './text.js';

const columns: Column[] = [{ header: 'model' }, { header: 'size', align: 'right' }];

describe('table', () => {
  it('aligns columns', () => {
    expect(
      table(columns, [
        ['lenet.onnx', '1.23 MB'],
        ['a.onnx', '341 kB'],
      ]),
    ).toBe(
      [
        'model          size',
        '──────────  ───────',
        'lenet.onnx  1.23 MB',
        'a.onnx       341 kB',
      ].join('\n'),
    );
  });

  it('shortens names in the middle and never numbers', () => {
    const rows = [['/encoder/layer.0/attention/MatMul', '1.23 MB']];
    expect(table(columns, rows, { width: 30 }).split('\n').at(-1)).toBe(
      '/encoder/l…ion/MatMul  1.23 MB',
    );
    expect(
      table(columns, rows, {
        width: 30,
        style: createStyle({ color: false, unicode: false }),
      }).split('\n'),
    ).toEqual([
      'model                     size',
      '---------------------  -------',
      '/encoder/...on/MatMul  1.23 MB',
    ]);
  });

  it('shows rows as blocks when the columns cannot fit', () => {
    const rows = [
      ['/encoder/layer.0/attention/MatMul', '1.23 MB'],
      ['b', '2 B'],
    ];
    expect(table(columns, rows, { width: 14 })).toBe(
      ['model: /enc…Mul', 'size: 1.23 MB', '', 'model: b', 'size: 2 B'].join('\n'),
    );
  });

  it('colours cells without moving columns, and only in colour', () => {
    const rows = [[{ text: 'a', tone: 'good' } as const, '1 B']];
    expect(table(columns, rows)).not.toContain('\u001b');
    const lines = table(columns, rows, { style: createStyle({ color: true }) }).split('\n');
    expect(lines[2]).toBe('\u001b[32ma    \u001b[39m   1 B');
    expect(lines[2]).toHaveLength(table(columns, rows).split('\n')[2]!.length + 10);
  });

  it('makes control characters of names visible', () => {
    expect(table([{ header: 'n' }], [['evil\u001b[2Jname\n']])).toContain('evil\\x1b[2Jname\\x0a');
  });

  it('counts wide characters as two columns', () => {
    const lines = table(columns, [
      ['模型', '1 B'],
      ['model', '2 B'],
    ]).split('\n');
    expect(lines[2]).toBe('模型    1 B');
  });

  it('wraps the notes', () => {
    const text = table(columns, [['a', '1']], { width: 12, notes: ['one two three four'] });
    expect(text.split('\n').slice(3)).toEqual(['one two', 'three four']);
  });

  it('fits any width that its numbers leave room for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ maxLength: 60, unit: 'grapheme' }), fc.nat())),
        fc.integer({ min: 24, max: 90 }),
        (rows, width) => {
          const text = table(
            columns,
            rows.map(([name, size]) => [name, String(size)]),
            { width },
          );
          for (const line of text.split('\n')) {
            expect(displayWidth(line)).toBeLessThanOrEqual(width);
          }
        },
      ),
    );
  });
});
