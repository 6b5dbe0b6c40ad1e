/**
 * Splits the textual form into tokens, one at a time, and makes the errors of its readers: every
 * error names line, column, what was expected and what stands there instead.
 */
import { PareError } from '../errors.js';

export type Token =
  | { readonly kind: 'word'; readonly text: string; readonly at: number }
  | { readonly kind: 'string'; readonly bytes: Uint8Array; readonly at: number }
  /** `text` as written: an integer unless it has a point or an exponent. */
  | { readonly kind: 'number'; readonly text: string; readonly at: number }
  | { readonly kind: 'symbol'; readonly text: string; readonly at: number }
  | { readonly kind: 'end'; readonly at: number };

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Blanks and comments: from '#' to the end of the line. */
const blank = /(?:\s|#[^\n]*)*/y;
const word = /[A-Za-z_][A-Za-z0-9_]*/y;
const number = /-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|-(?=[A-Za-z])/y;
const symbol = /=>|\.\.\.|[<>()[\]{}=,:?@.]/y;
const string = /"(?:[^"\\]|\\[\s\S])*"/y;
const hexNumber = /0x[0-9a-fA-F]+/y;

export class Scanner {
  readonly #text: string;
  #at = 0;
  readonly #ahead: Token[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** The token `distance` places ahead, without taking it. */
  peek(distance = 0): Token {
    while (this.#ahead.length <= distance) this.#ahead.push(this.#scan());
    return this.#ahead[distance]!;
  }

  next(): Token {
    return this.#ahead.shift() ?? this.#scan();
  }

  /** Whether this symbol comes next. */
  sees(symbol: string, distance = 0): boolean {
    const token = this.peek(distance);
    return token.kind === 'symbol' && token.text === symbol;
  }

  /** Takes the symbol when it comes next. */
  accepts(symbol: string): boolean {
    if (!this.sees(symbol)) return false;
    this.next();
    return true;
  }

  expect(symbol: string): void {
    if (!this.accepts(symbol)) this.fail(`"${symbol}"`);
  }

  /** Takes an identifier. */
  word(what: string): string {
    const token = this.peek();
    if (token.kind !== 'word') this.fail(what);
    this.next();
    return token.text;
  }

  /** Takes an identifier or a quoted name. */
  name(what: string): string {
    const token = this.peek();
    if (token.kind === 'string') {
      this.next();
      return decoder.decode(token.bytes);
    }
    return this.word(what);
  }

  /** Takes a quoted string. */
  bytes(what: string): Uint8Array {
    const token = this.peek();
    if (token.kind !== 'string') this.fail(what);
    this.next();
    return token.bytes;
  }

  text(what: string): string {
    return decoder.decode(this.bytes(what));
  }

  /** Takes a whole number without a point. */
  integer(what: string): bigint {
    const token = this.peek();
    if (token.kind !== 'number' || !isInteger(token.text)) this.fail(what);
    this.next();
    return BigInt(token.text);
  }

  /** Takes a number word (`inf`, `nan`) or a number, as it is written; `nan(0x7fc00001)` too. */
  numeral(what: string): string {
    const token = this.peek();
    if (token.kind === 'number') {
      this.next();
      return token.text;
    }
    if (token.kind !== 'word' || !/^(nan|inf|infinity)$/i.test(token.text)) this.fail(what);
    this.next();
    if (!/^nan$/i.test(token.text) || !this.accepts('(')) return token.text;
    const bits = this.#match(hexNumber) ?? this.fail('the bits of the NaN, such as 0x7fc00001');
    this.expect(')');
    return `nan(${bits})`;
  }

  /** Throws `usage` at the next token, or at the one given. */
  fail(expected: string, token: Token = this.peek()): never {
    this.failAt(token.at, `expected ${expected}, found ${describe(token)}`);
  }

  failAt(at: number, message: string, hint?: string): never {
    const before = this.#text.slice(0, at).split('\n');
    throw new PareError(
      'usage',
      `text: line ${before.length}, column ${before.at(-1)!.length + 1}: ${message}`,
      { hint },
    );
  }

  #scan(): Token {
    this.#match(blank);
    const at = this.#at;
    if (at >= this.#text.length) return { kind: 'end', at };
    const wordText = this.#match(word);
    if (wordText !== undefined) return { kind: 'word', text: wordText, at };
    const numberText = this.#match(number);
    if (numberText === '-') {
      const text = `-${this.#match(word)}`;
      if (!/^-(nan|inf|infinity)$/i.test(text)) this.failAt(at, `"${text}" is no number`);
      return { kind: 'number', text, at };
    }
    if (numberText !== undefined) {
      const tail = this.#match(word);
      if (tail !== undefined) this.failAt(at, `"${numberText}${tail}" is no number and no name`);
      return { kind: 'number', text: numberText, at };
    }
    if (this.#text[at] === '"') {
      const quoted = this.#match(string) ?? this.failAt(at, 'the string has no closing quote');
      return { kind: 'string', bytes: unquote(quoted), at };
    }
    const symbolText = this.#match(symbol);
    if (symbolText !== undefined) return { kind: 'symbol', text: symbolText, at };
    return this.failAt(
      at,
      `"${String.fromCodePoint(this.#text.codePointAt(at)!)}" has no meaning`,
      'quote names that are no identifiers',
    );
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (!match) return undefined;
    this.#at = pattern.lastIndex;
    return match[0];
  }
}

export function isInteger(text: string): boolean {
  return /^-?\d+$/.test(text);
}

function unquote(quoted: string): Uint8Array {
  const inner = quoted.slice(1, -1);
  if (!inner.includes('\\')) return encoder.encode(inner);
  const pieces: Uint8Array[] = [];
  // A backslash keeps what follows it, except for the four escapes of this form.
  for (const [piece] of inner.matchAll(/\\x[0-9a-fA-F]{2}|\\[\s\S]|[^\\]+/gu)) {
    pieces.push(unescaped(piece));
  }
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function unescaped(piece: string): Uint8Array {
  if (piece[0] !== '\\') return encoder.encode(piece);
  if (/^\\x../.test(piece)) return Uint8Array.of(Number.parseInt(piece.slice(2), 16));
  const meanings: Record<string, string> = { n: '\n', r: '\r', t: '\t' };
  const char = piece.slice(1);
  return encoder.encode(meanings[char] ?? char);
}

function describe(token: Token): string {
  if (token.kind === 'end') return 'the end of the text';
  if (token.kind === 'string') return `"${decoder.decode(token.bytes)}"`;
  return `"${token.text}"`;
}
