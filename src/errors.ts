/**
 * The one error type that pare throws on purpose. A message says what happened with its numbers;
 * `where` says in which file, node or tensor; `hint` says what to do next.
 */

/** What went wrong, as a word that programs can branch on. The CLI maps it to an exit code. */
export type PareErrorCode =
  | 'usage' // an option, a config file or an argument is wrong
  | 'invalid-model' // the file is not a readable ONNX model
  | 'unsupported' // valid, but outside what pare or the target can do
  | 'data-mismatch' // samples do not fit the model's inputs
  | 'invalid-data' // a data file is unreadable
  | 'quality' // the promise on accuracy is not met
  | 'budget' // a size or latency budget is not met
  | 'io' // the disk, a permission, a missing file
  | 'engine' // the runtime refused or failed
  | 'aborted'; // cancelled by the caller

/** Where the error is: any of file, node, tensor. */
export interface ErrorPlace {
  readonly file?: string | undefined;
  readonly node?: string | undefined;
  readonly tensor?: string | undefined;
}

export interface PareErrorOptions extends ErrorPlace {
  /** What the reader can do next, as a sentence or a command. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/**
 * @example
 * throw new PareError('invalid-model', 'onnx: tensor holds 12 bytes, its dims [2,3] of float need 24', {
 *   tensor: 'fc.weight',
 * });
 */
export class PareError extends Error {
  override readonly name = 'PareError';
  readonly code: PareErrorCode;
  readonly where: ErrorPlace;
  readonly hint: string | undefined;

  constructor(code: PareErrorCode, message: string, options: PareErrorOptions = {}) {
    const place = describePlace(options);
    super(place ? `${message} (${place})` : message, { cause: options.cause });
    this.code = code;
    this.where = { file: options.file, node: options.node, tensor: options.tensor };
    this.hint = options.hint;
  }
}

function describePlace({ file, node, tensor }: ErrorPlace): string {
  const parts: string[] = [];
  if (node !== undefined) parts.push(`node "${node}"`);
  if (tensor !== undefined) parts.push(`tensor "${tensor}"`);
  if (file !== undefined) parts.push(`file "${file}"`);
  return parts.join(', ');
}

/** Throws an `aborted` error when the signal has fired. Call it between units of work. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new PareError('aborted', 'cancelled', { cause: signal.reason });
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
