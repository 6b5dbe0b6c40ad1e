/**
 * Finds out what a stream can show: colour, motion, width. The only place that knows NO_COLOR,
 * FORCE_COLOR, TERM and CI.
 */
import { createStyle, type Style } from '../report/style.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What is asked of a stream here; process.stdout and process.stderr are such. */
export interface TerminalStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface Terminal {
  readonly style: Style;
  /** Columns; undefined when lines may have any length (a file or a pipe). */
  readonly width: number | undefined;
  /** Whether a line may be redrawn. */
  readonly animate: boolean;
}

/**
 * `color` is the user's flag and decides; after it FORCE_COLOR, then NO_COLOR (no-color.org), then
 * whether the stream is a terminal other than a dumb one. This is the order of Node itself.
 */
export function detectTerminal(
  stream: TerminalStream,
  env: Environment,
  color?: boolean | undefined,
): Terminal {
  const isTTY = stream.isTTY === true;
  const dumb = env.TERM === 'dumb';
  return {
    style: createStyle({ color: color ?? wantsColor(env, isTTY && !dumb), unicode: unicode(env) }),
    width: isTTY ? stream.columns || 80 : undefined,
    animate: isTTY && !dumb && !isSet(env.CI),
  };
}

function wantsColor(env: Environment, capable: boolean): boolean {
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false';
  return !isSet(env.NO_COLOR) && capable;
}

/** The Linux console and the old Windows console lack the block characters. */
function unicode(env: Environment): boolean {
  if (env.TERM === 'linux' || env.TERM === 'dumb') return false;
  return env.OS !== 'Windows_NT' || isSet(env.WT_SESSION) || isSet(env.TERM_PROGRAM);
}

const isSet = (value: string | undefined) => value !== undefined && value !== '';
