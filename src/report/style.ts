/**
 * Colours by meaning, not by name, for text that goes to a terminal. Pure: whether a terminal
 * takes colour is found out by the caller (in Node: src/cli/terminal.ts).
 */

/** What a piece of text means; the style decides how that looks. */
export type Tone = 'good' | 'bad' | 'warn' | 'strong' | 'faint' | 'accent';

export interface Style {
  readonly color: boolean;
  /** False for terminals that show only ASCII: no ellipsis, no block characters. */
  readonly unicode: boolean;
  paint(tone: Tone, text: string): string;
}

/** SGR codes that switch a tone on and off (ECMA-48, section 8.3.117). */
const codes: Readonly<Record<Tone, readonly [on: number, off: number]>> = Object.freeze({
  good: [32, 39],
  bad: [31, 39],
  warn: [33, 39],
  strong: [1, 22],
  faint: [2, 22],
  accent: [36, 39],
});

/** @example createStyle({ color: true }).paint('good', 'ok') // '\u001b[32mok\u001b[39m' */
export function createStyle(options: { color: boolean; unicode?: boolean | undefined }): Style {
  const { color, unicode = true } = options;
  return Object.freeze({
    color,
    unicode,
    paint(tone: Tone, text: string) {
      if (!color || text === '') return text;
      const [on, off] = codes[tone];
      return `\u001b[${on}m${text}\u001b[${off}m`;
    },
  });
}

/** No colour; for files, pipes and tests. */
export const plainStyle: Style = createStyle({ color: false });
