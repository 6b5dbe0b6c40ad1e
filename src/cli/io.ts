/**
 * What a command writes to, made of the host's streams: the output, the progress line, and their
 * common end.
 */

import { silent } from '../progress.js';
import type { GlobalValues } from './global-options.js';
import type { Host } from './host.js';
import { createOutput, type OutputState } from './output.js';
import { type ClosableProgress, createProgress } from './progress.js';
import { StatusLine } from './status-line.js';
import type { StreamWriter } from './stream-writer.js';
import { detectTerminal } from './terminal.js';

export interface Io {
  readonly output: OutputState;
  readonly progress: ClosableProgress;
  /** A line on stderr whatever the flags say: for errors. */
  print(text: string): void;
}

export type IoSettings = Pick<GlobalValues, 'json' | 'quiet' | 'verbose' | 'color'>;

export interface Writers {
  readonly stdout: StreamWriter;
  readonly stderr: StreamWriter;
}

export function createIo(host: Host, writers: Writers, settings: IoSettings): Io {
  const terminal = detectTerminal(host.stderr, host.env, settings.color);
  const stdoutTerminal = detectTerminal(host.stdout, host.env, settings.color);
  const line = new StatusLine(writers.stderr, terminal);
  const output = createOutput(settings, { writer: writers.stdout, line, terminal, stdoutTerminal });
  const progress = settings.quiet
    ? { ...silent, close() {} }
    : createProgress({ line, terminal, clock: host.clock });
  return { output, progress, print: (text) => line.print(text) };
}
