/**
 * The checkpoint of a training run as a file beside its output: replaced whole or not at all, and
 * removed only once the output is written.
 */
import { readFile, rm } from 'node:fs/promises';
import { ioError } from '../disk/io-error.js';
import { writeFileAtomic } from '../disk/write-file.js';
import { PareError } from '../errors.js';
import type { CheckpointStore } from '../train/checkpoint.js';

export interface CheckpointFile extends CheckpointStore {
  /** Whether there was one when it was opened. */
  readonly exists: boolean;
  /** Takes the file away. */
  discard(): Promise<void>;
}

/**
 * @param begin 'resume' goes on from what is there, 'anew' overwrites it
 * @throws PareError `usage` for 'refuse' when there is one: hours of work are not thrown away
 */
export async function checkpointFile(
  path: string,
  begin: 'resume' | 'anew' | 'refuse',
): Promise<CheckpointFile> {
  const found = await readIfThere(path);
  if (found && begin === 'refuse') {
    throw new PareError('usage', 'finetune: an interrupted run left a checkpoint', {
      file: path,
      hint: '--resume goes on from it, --force begins anew',
    });
  }
  return {
    exists: found !== undefined,
    read: async () => (begin === 'resume' ? found : undefined),
    write: (bytes) => writeFileAtomic(path, [bytes], { force: true }),
    // The loop has ended, and the model is not on disk yet.
    remove: async () => {},
    discard: () => rm(path, { force: true }),
  };
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw ioError('read', path, error);
  }
}
