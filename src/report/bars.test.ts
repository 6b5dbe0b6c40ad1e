import { describe, expect, it } from 'vitest';
import { bar, sparkline } from './bars.js';

describe('sparkline', () => {
  it('spans the values, or the given range', () => {
    expect(sparkline([0, 1, 7])).toBe('▁▂█');
    expect(sparkline([1, 2], { min: 0, max: 2 })).toBe('▅█');
    expect(sparkline([0, 1, 7], { unicode: false })).toBe('_.#');
  });
  it('survives what is no number', () => {
    expect(sparkline([])).toBe('');
    expect(sparkline([Number.NaN, 3, 3])).toBe(' ▁▁');
    expect(sparkline([0, 1, Number.POSITIVE_INFINITY])).toBe('▁██');
  });
});

describe('bar', () => {
  it('fills to an eighth of a column', () => {
    expect(bar(0, 4)).toBe('    ');
    expect(bar(0.5, 4)).toBe('██  ');
    expect(bar(0.53125, 4)).toBe('██▏ ');
    expect(bar(1, 4)).toBe('████');
    expect(bar(0.5, 4, { unicode: false, rest: '.' })).toBe('##..');
  });
  it('stays inside its width', () => {
    expect(bar(7, 3)).toBe('███');
    expect(bar(-1, 3)).toBe('   ');
    expect(bar(Number.NaN, 3)).toBe('   ');
  });
});
