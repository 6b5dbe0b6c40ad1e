/**
 * Writes output files so that they are complete or not there: into a temporary file in the same
 * folder, synced, then renamed. Never writes over an input, and over an existing file only when
 * told to. Several files (a model and its external data) appear together, the model last.
 */
import { chmod, open, rename, rm, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { throwIfAborted } from '../errors.js';
import { type CheckedTarget, checkTargets, type TargetRules } from './check-targets.js';
import { registerTempFile } from './cleanup.js';
import { ioError } from './io-error.js';
import { removeStaleTempFiles, tempName } from './temp-names.js';
import { writeParts } from './write-parts.js';

/** Buffers that stay unchanged until the write is done. */
export type Parts = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface OutputFile {
  readonly path: string;
  /** The content, in order. Written as it comes, so it may be made on the way. */
  readonly parts: Parts;
}

export interface WriteOptions extends TargetRules {
  readonly signal?: AbortSignal | undefined;
  /** Opens the temporary file; only tests give one, to stand for a full disk. */
  readonly openFile?: typeof open | undefined;
}

/**
 * Writes one file. Throws PareError `usage` when the target exists (without `force`), is no
 * regular file, or is one of `inputs`; `io` when the disk refuses; `aborted` on the signal.
 *
 * @example await writeFileAtomic('out.onnx', await encode(model), { inputs: ['in.onnx'] });
 */
export async function writeFileAtomic(
  path: string,
  parts: Parts,
  options: WriteOptions = {},
): Promise<void> {
  await writeFilesAtomic([{ path, parts }], options);
}

/**
 * Writes files that belong together. All are complete on disk before the first takes its name;
 * `.onnx` files come last, and an old one is taken away before its data files are replaced, so
 * that a model never stands beside the data of another.
 */
export async function writeFilesAtomic(
  files: readonly OutputFile[],
  options: WriteOptions = {},
): Promise<void> {
  const { signal, openFile = open } = options;
  const targets = await checkTargets(
    files.map(({ path }) => path),
    options,
  );
  const temps: TempFile[] = [];
  try {
    for (const [i, { parts }] of files.entries()) {
      throwIfAborted(signal);
      await removeStaleTempFiles(dirname(targets[i]!.path));
      const temp = startTemp(targets[i]!);
      temps.push(temp);
      await writeTemp(temp, parts, openFile, signal);
    }
    throwIfAborted(signal);
    // Hours may have passed since the first look.
    await checkTargets(
      files.map(({ path }) => path),
      options,
    );
    await renameAll(temps);
  } finally {
    for (const temp of temps) {
      await rm(temp.path, { force: true }).catch(() => {});
      temp.unregister();
    }
  }
}

interface TempFile {
  readonly path: string;
  readonly target: CheckedTarget;
  unregister(): void;
}

function startTemp(target: CheckedTarget): TempFile {
  const path = join(dirname(target.path), tempName(basename(target.path)));
  return { path, target, unregister: registerTempFile(path) };
}

async function writeTemp(
  temp: TempFile,
  parts: Parts,
  openFile: typeof open,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { path, mode } = temp.target;
  try {
    // Only a dead process with the same number can have left one (usual in containers).
    await rm(temp.path, { force: true });
    const handle = await openFile(temp.path, 'wx');
    try {
      await writeParts(handle, parts, signal);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (mode !== undefined) await chmod(temp.path, mode & 0o777);
  } catch (error) {
    throw ioError('write', path, error);
  }
}

async function renameAll(temps: readonly TempFile[]): Promise<void> {
  const isModel = ({ target }: TempFile) => target.path.endsWith('.onnx');
  const models = temps.filter(isModel);
  const data = temps.filter((temp) => !isModel(temp));
  const placed: string[] = [];
  let current = '';
  try {
    if (data.length > 0) {
      for (const { target } of models) {
        current = target.path;
        if (target.exists) await unlink(target.path);
      }
    }
    for (const { path, target } of [...data, ...models]) {
      current = target.path;
      await rename(path, target.path);
      placed.push(target.path);
    }
  } catch (error) {
    for (const path of placed) await rm(path, { force: true }).catch(() => {});
    throw ioError('write', current, error);
  }
  for (const folder of new Set(placed.map((path) => dirname(path)))) await syncFolder(folder);
}

/** Makes the new names survive a power cut, where the system can do that (not on Windows). */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // The files themselves are synced; only their names may be lost with the power.
  }
}
