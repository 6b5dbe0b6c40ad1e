/**
 * Where a command's words go: data on stdout, everything for people on stderr, and with --json
 * exactly one document on stdout. Commands write through this and never to the process.
 */
import type { StatusLine } from './status-line.js';
import type { StreamWriter } from './stream-writer.js';
import type { Terminal } from './terminal.js';

export interface Output {
  /** True with --json. A command may write both forms; the one not asked for is dropped. */
  readonly isJson: boolean;
  /** What stderr can show: the style and width for `human`. */
  readonly terminal: Terminal;
  /** What stdout can show: the style and width for `stdout`. */
  readonly stdoutTerminal: Terminal;
  /**
   * The result itself: text (a newline is added where it lacks one) or bytes as they are.
   * Dropped with --json, whose document stands for it.
   */
  stdout(data: string | Uint8Array): void;
  /** Text for people. Dropped with --quiet. */
  human(text: string): void;
  /** More text for people, shown with --verbose only. */
  detail(text: string): void;
  /** Something that the user should know although the command goes on. Shown even with --quiet. */
  warn(text: string): void;
  /** The result as a document; `schema: 1` is added. Dropped without --json. Once per run. */
  json(document: object): void;
}

export interface OutputSettings {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

export interface OutputParts {
  readonly writer: StreamWriter;
  readonly line: StatusLine;
  readonly terminal: Terminal;
  readonly stdoutTerminal: Terminal;
}

/** The version of the layout of every --json document. */
const schema = 1;

/** An `Output` that can tell whether its document has been written. */
export interface OutputState extends Output {
  readonly jsonWritten: boolean;
}

export function createOutput(settings: OutputSettings, parts: OutputParts): OutputState {
  const { json, quiet, verbose } = settings;
  const { writer, line, terminal, stdoutTerminal } = parts;
  let jsonWritten = false;
  return {
    isJson: json,
    terminal,
    stdoutTerminal,
    get jsonWritten() {
      return jsonWritten;
    },
    stdout(data) {
      if (json) return;
      // On one terminal the progress line must go before the data come.
      line.clear();
      writer.write(typeof data === 'string' && !data.endsWith('\n') ? `${data}\n` : data);
    },
    human(text) {
      if (!quiet) line.print(text);
    },
    detail(text) {
      if (verbose && !quiet) line.print(terminal.style.paint('faint', text));
    },
    warn(text) {
      line.print(`${terminal.style.paint('warn', 'warning:')} ${text}`);
    },
    json(document) {
      if (!json) return;
      if (jsonWritten) throw new Error('a command wrote two JSON documents');
      jsonWritten = true;
      line.clear();
      writer.write(`${toJson({ schema, ...document })}\n`);
    },
  };
}

/**
 * JSON of anything a report holds. As in the JSON form of Protocol Buffers, non-finite numbers are
 * the strings "NaN", "Infinity" and "-Infinity", and integers beyond 2^53 are strings.
 */
export function toJson(document: unknown): string {
  return JSON.stringify(document, replace, 2);
}

function replace(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return Array.from(value as Uint8Array);
  }
  return value;
}
