/**
 * Text in a terminal's columns: its width, shortening, padding, wrapping, and taking out what
 * would steer the terminal (names come from model files that nobody vouches for).
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: a colour sequence begins with one
const ansiSequence = /\u001b\[[0-9;]*m/g;
// C0 and C1 controls, line and paragraph separators, and the marks that reorder text.
const steering = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const zeroWidth = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** The text without control characters: each becomes a visible escape such as \x1b. */
export function printable(text: string): string {
  return text.replace(steering, (character) => {
    const code = character.codePointAt(0)!;
    return code < 256
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** Columns that the text takes; colours take none, East Asian wide characters take two. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text.replace(ansiSequence, '')) width += widthOf(character);
  return width;
}

/**
 * Shortens in the middle, where the names of one model differ least. The text must be uncoloured.
 * @example truncateMiddle('/encoder/layer.0/attention/MatMul', 20) // '/encoder/l…on/MatMul'
 */
export function truncateMiddle(text: string, width: number, ellipsis = '…'): string {
  if (displayWidth(text) <= width) return text;
  const room = width - displayWidth(ellipsis);
  if (room <= 0) return takeColumns([...text], width).join('');
  const characters = [...text];
  const head = takeColumns(characters, Math.ceil(room / 2));
  const tail = takeColumns(characters.reverse(), room - displayWidth(head.join(''))).reverse();
  return head.join('') + ellipsis + tail.join('');
}

export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'left' ? text + space : space + text;
}

/** Breaks at spaces into lines of at most `width` columns; a longer word gets its own line. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && displayWidth(line) + 1 + displayWidth(word) > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === '' ? word : `${line} ${word}`;
      }
    }
    lines.push(line);
  }
  return lines;
}

function takeColumns(characters: readonly string[], width: number): string[] {
  const taken: string[] = [];
  let used = 0;
  for (const character of characters) {
    used += widthOf(character);
    if (used > width) break;
    taken.push(character);
  }
  return taken;
}

function widthOf(character: string): number {
  if (zeroWidth.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}
