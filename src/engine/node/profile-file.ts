/**
 * Finds the trace that ONNX Runtime's profiler wrote to a folder.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PareError } from '../../errors.js';

/** The text of `profile_<date>.json` in this folder. */
export async function readProfileFile(folder: string): Promise<string> {
  const file = (await readdir(folder)).find((name) => /^profile.*\.json$/.test(name));
  if (file === undefined) {
    throw new PareError('engine', 'profile: the runtime wrote no profile', { file: folder });
  }
  return await readFile(join(folder, file), 'utf8');
}
