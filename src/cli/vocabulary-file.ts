/** The vocabulary of a language model: the file that is given, or one that lies beside the model. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseVocabulary, type Vocabulary } from '../data/vocabulary.js';
import { messageOf, PareError } from '../errors.js';

/** Names under which tokenizers are shipped with models, in this order. */
const usual: readonly string[] = ['tokenizer.json', 'vocab.json'];

/**
 * Undefined without a file. One that was not asked for and is no vocabulary is told to `warn`.
 * @throws PareError `io` for a given file that cannot be read, `invalid-data` for one that is none
 */
export async function readVocabulary(
  given: string | undefined,
  model: string,
  cwd: string,
  warn: (text: string) => void,
): Promise<{ readonly path: string; readonly pieces: Vocabulary } | undefined> {
  const folder = dirname(resolve(cwd, model));
  const path =
    given === undefined
      ? usual.map((name) => join(folder, name)).find((each) => existsSync(each))
      : resolve(cwd, given);
  if (path === undefined) return undefined;
  try {
    return { path, pieces: parseVocabulary(await textOf(path), path) };
  } catch (error) {
    if (given !== undefined) throw error;
    warn(`${path} is not used: ${messageOf(error)}`);
    return undefined;
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new PareError('io', `vocabulary: ${messageOf(cause)}`, { file: path, cause });
  }
}
