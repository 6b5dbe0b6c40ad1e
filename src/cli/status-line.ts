/**
 * One line at the bottom of stderr that is drawn over and over, and the lines that scroll above
 * it. Everything pare writes to stderr goes through here, so that the two never mix.
 */
import { truncateMiddle } from '../report/text.js';
import type { StreamWriter } from './stream-writer.js';
import type { Terminal } from './terminal.js';

const clearLine = '\r\u001b[2K';

export class StatusLine {
  #shown = '';
  readonly #writer: StreamWriter;
  readonly #terminal: Terminal;

  constructor(writer: StreamWriter, terminal: Terminal) {
    this.#writer = writer;
    this.#terminal = terminal;
  }

  /** Draws in place of what was shown. Does nothing where lines cannot be redrawn. */
  show(text: string): void {
    if (!this.#terminal.animate || text === this.#shown) return;
    // A line that reaches the last column wraps in some terminals and could not be cleared.
    const width = (this.#terminal.width ?? 80) - 1;
    const ellipsis = this.#terminal.style.unicode ? '…' : '...';
    this.#shown = truncateMiddle(text, width, ellipsis);
    this.#writer.write(clearLine + this.#shown);
  }

  clear(): void {
    if (this.#shown === '') return;
    this.#shown = '';
    this.#writer.write(clearLine);
  }

  /** Writes a line (or several) that stays; what was shown is drawn again below it. */
  print(text: string): void {
    if (this.#shown === '') this.#writer.write(`${text}\n`);
    else this.#writer.write(`${clearLine}${text}\n${this.#shown}`);
  }
}
