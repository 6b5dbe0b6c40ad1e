/**
 * Temporary folders of the engine, in the system's place for them. Each is removed by its owner;
 * what is left when the process ends is removed then.
 */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { messageOf, PareError } from '../../errors.js';

const folders = new Set<string>();
let listening = false;

export interface TempFolder {
  readonly path: string;
  /** Writes the parts one after the other to a file inside the folder and returns its path. */
  write(name: string, parts: readonly Uint8Array[]): Promise<string>;
  remove(): Promise<void>;
}

/** Makes an empty folder that only this user can read. */
export async function createTempFolder(): Promise<TempFolder> {
  let path: string;
  try {
    path = await mkdtemp(join(tmpdir(), 'pare-'));
  } catch (error) {
    throw new PareError('io', `cannot make a temporary folder: ${messageOf(error)}`, {
      hint: 'free space in the temporary folder, or set TMPDIR to another one',
      cause: error,
    });
  }
  folders.add(path);
  if (!listening) {
    listening = true;
    process.on('exit', removeTempFolders);
  }
  return {
    path,
    write: (name, parts) => writeInside(path, name, parts),
    async remove() {
      if (!folders.delete(path)) return;
      await rm(path, { recursive: true, force: true });
    },
  };
}

async function writeInside(folder: string, name: string, parts: readonly Uint8Array[]) {
  const inside = normalize(name);
  if (isAbsolute(inside) || inside.split(/[\\/]/).includes('..')) {
    throw new PareError('invalid-model', `external data location "${name}" leaves the folder`, {
      hint: 'a location is a path relative to the folder of the model, without ".."',
    });
  }
  const path = join(folder, inside);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'w');
    try {
      for (const part of parts) await file.writeFile(part);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new PareError('io', `cannot write a temporary file: ${messageOf(error)}`, {
      file: path,
      hint: 'free space in the temporary folder, or set TMPDIR to another one',
      cause: error,
    });
  }
  return path;
}

export function removeTempFolders(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
