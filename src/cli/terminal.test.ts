import { describe, expect, it } from 'vitest';
import { detectTerminal } from './terminal.js';

const tty = { isTTY: true, columns: 120 };
const pipe = {};

describe('detectTerminal', () => {
  it.each([
    ['a terminal', tty, {}, undefined, true],
    ['a pipe', pipe, {}, undefined, false],
    ['NO_COLOR', tty, { NO_COLOR: '1' }, undefined, false],
    ['an empty NO_COLOR', tty, { NO_COLOR: '' }, undefined, true],
    ['FORCE_COLOR in a pipe', pipe, { FORCE_COLOR: '1' }, undefined, true],
    ['FORCE_COLOR=0', tty, { FORCE_COLOR: '0' }, undefined, false],
    ['FORCE_COLOR before NO_COLOR', pipe, { FORCE_COLOR: '', NO_COLOR: '1' }, undefined, true],
    ['TERM=dumb', tty, { TERM: 'dumb' }, undefined, false],
    ['--no-color before FORCE_COLOR', tty, { FORCE_COLOR: '1' }, false, false],
    ['--color before NO_COLOR', pipe, { NO_COLOR: '1' }, true, true],
  ])('colour: %s', (_, stream, env, flag, expected) => {
    expect(detectTerminal(stream, env, flag).style.color).toBe(expected);
  });

  it('redraws lines only on a capable terminal that is no CI', () => {
    expect(detectTerminal(tty, {}).animate).toBe(true);
    expect(detectTerminal(pipe, {}).animate).toBe(false);
    expect(detectTerminal(tty, { TERM: 'dumb' }).animate).toBe(false);
    expect(detectTerminal(tty, { CI: 'true' }).animate).toBe(false);
  });

  it('knows a width for terminals only', () => {
    expect(detectTerminal(tty, {}).width).toBe(120);
    expect(detectTerminal({ isTTY: true }, {}).width).toBe(80);
    expect(detectTerminal(pipe, {}).width).toBeUndefined();
  });
});
