/**
 * How an error is shown: message and hint for people, a document for programs.
 */
import { messageOf, PareError } from '../errors.js';
import type { Style } from '../report/style.js';
import { printable } from '../report/text.js';

/** `error: message`, `hint: ...`, and with `verbose` the stack and its causes. */
export function errorText(error: unknown, style: Style, verbose: boolean): string {
  const lines = [`${style.paint('bad', 'error:')} ${printable(messageOf(error))}`];
  const hint = hintOf(error, verbose);
  if (hint !== undefined) lines.push(`${style.paint('accent', 'hint:')} ${printable(hint)}`);
  if (verbose) lines.push(...stacks(error).map((line) => style.paint('faint', line)));
  return lines.join('\n');
}

/** What --json puts on stdout under `error`. */
export function errorDocument(error: unknown) {
  return {
    error: {
      code: error instanceof PareError ? error.code : 'unexpected',
      message: messageOf(error),
      where: error instanceof PareError ? error.where : {},
      hint: hintOf(error, true),
    },
  };
}

function hintOf(error: unknown, verbose: boolean): string | undefined {
  if (error instanceof PareError) return error.hint;
  return verbose ? undefined : 'this may be a bug of pare; --verbose shows where it happened';
}

function stacks(error: unknown): string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  let prefix = '';
  for (let at = error; at !== undefined && at !== null && !seen.has(at); ) {
    seen.add(at);
    const text = at instanceof Error ? (at.stack ?? at.message) : String(at);
    lines.push(...`${prefix}${text}`.split('\n').map(printable));
    prefix = 'caused by: ';
    at = at instanceof Error ? at.cause : undefined;
  }
  return lines;
}
