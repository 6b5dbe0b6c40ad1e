/**
 * The exit codes of `pare`: documented, tested, and the same for every command. Scripts branch on
 * them, so a number never changes its meaning.
 */
import { PareError, type PareErrorCode } from '../errors.js';

export const ExitCode = Object.freeze({
  ok: 0,
  unexpected: 1,
  usage: 2,
  unreadableModel: 3,
  qualityNotMet: 4,
  budgetNotMet: 5,
  unsupported: 6,
  interrupted: 130,
});

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** For the help and the documentation. */
export const exitCodeMeanings: readonly (readonly [code: ExitCode, meaning: string])[] =
  Object.freeze([
    [ExitCode.ok, 'done'],
    [ExitCode.unexpected, 'unexpected: a file that cannot be read or written, the runtime, a bug'],
    [ExitCode.usage, 'usage: an option, a config file, or data that do not fit the model'],
    [ExitCode.unreadableModel, 'the model is not readable ONNX'],
    [
      ExitCode.qualityNotMet,
      'quality not met: what would be smaller or faster loses more than was allowed',
    ],
    [
      ExitCode.budgetNotMet,
      'budget not met: a limit on size or latency, or `optimize` found nothing smaller or faster',
    ],
    [ExitCode.unsupported, 'unsupported: valid, but outside what pare or the target can do'],
    [ExitCode.interrupted, 'interrupted: Ctrl-C, or the signal TERM or HUP'],
  ]);

const byErrorCode: Readonly<Record<PareErrorCode, ExitCode>> = Object.freeze({
  usage: ExitCode.usage,
  'invalid-data': ExitCode.usage,
  'data-mismatch': ExitCode.usage,
  'invalid-model': ExitCode.unreadableModel,
  quality: ExitCode.qualityNotMet,
  budget: ExitCode.budgetNotMet,
  unsupported: ExitCode.unsupported,
  aborted: ExitCode.interrupted,
  io: ExitCode.unexpected,
  engine: ExitCode.unexpected,
});

/** Everything that is not a PareError is unexpected. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof PareError ? byErrorCode[error.code] : ExitCode.unexpected;
}
