/**
 * Whether an output may be written where the user wants it. Commands ask at once, before hours of
 * work; the writer asks again. Changes nothing on the disk.
 */
import { access, constants, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PareError } from '../errors.js';
import { ioError } from './io-error.js';

export interface TargetRules {
  /** Replace a file that exists. */
  readonly force?: boolean | undefined;
  /** Files that were read: never written over, with or without `force`. */
  readonly inputs?: readonly string[] | undefined;
}

export interface CheckedTarget {
  /** Where to write: the target of a symbolic link, not the link. */
  readonly path: string;
  readonly exists: boolean;
  /** Permissions of the file that is replaced. */
  readonly mode: number | undefined;
}

/**
 * Throws PareError `usage` when a target exists (without `force`), is a folder or a device, is one
 * of the inputs, or is named twice; `io` when its folder is missing or cannot be written to.
 */
export async function checkTargets(
  paths: readonly string[],
  { force = false, inputs = [] }: TargetRules,
): Promise<CheckedTarget[]> {
  const inputPaths = await Promise.all(inputs.map((input) => realPathOf(input)));
  const targets: CheckedTarget[] = [];
  for (const path of paths) {
    const target = await checkTarget(path, force, inputPaths);
    if (targets.some((other) => other.path === target.path)) {
      throw new PareError('usage', 'write: two outputs have the same name', { file: path });
    }
    targets.push(target);
  }
  return targets;
}

async function checkTarget(
  path: string,
  force: boolean,
  inputs: readonly (string | undefined)[],
): Promise<CheckedTarget> {
  const real = await realPathOf(path);
  if (real === undefined) {
    await checkFolder(path);
    return { path, exists: false, mode: undefined };
  }
  if (inputs.includes(real)) {
    throw new PareError('usage', 'write: the output would replace an input', {
      file: path,
      hint: 'choose another name with -o; pare never writes over what it reads',
    });
  }
  const info = await stat(real).catch((error) => {
    throw ioError('write', path, error);
  });
  if (!info.isFile()) {
    const kind = info.isDirectory() ? 'a folder' : 'not a regular file';
    throw new PareError('usage', `write: the output is ${kind}`, {
      file: path,
      hint: 'name a file, for example out.onnx',
    });
  }
  if (!force) {
    throw new PareError('usage', 'write: the output exists already', {
      file: path,
      hint: '--force replaces it',
    });
  }
  await checkWritable(real);
  return { path: real, exists: true, mode: info.mode };
}

async function checkFolder(path: string): Promise<void> {
  const info = await stat(dirname(path)).catch((error) => {
    throw ioError('write', path, error);
  });
  if (!info.isDirectory()) {
    throw ioError('write', path, Object.assign(new Error('not a folder'), { code: 'ENOTDIR' }));
  }
  await checkWritable(path);
}

/** A new file, and the temporary one of a file that is replaced, need the folder. */
async function checkWritable(path: string): Promise<void> {
  await access(dirname(path), constants.W_OK).catch((error) => {
    throw ioError('write', path, error);
  });
}

/** Undefined for what does not exist; other troubles show when the file is opened. */
async function realPathOf(path: string): Promise<string | undefined> {
  return realpath(path).catch(() => undefined);
}
