/**
 * The names of temporary output files: hidden, in the target's own folder, with the process in
 * them, so that a later run recognizes and removes what a killed one left behind.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const pattern = /^\..*\.pare-tmp-(\d+)-\d+$/;
/** Keeps the whole name under the 255 bytes that file systems allow. */
const maxNameLength = 60;
let counter = 0;

/** @example tempName('out.onnx') // '.out.onnx.pare-tmp-4711-0' */
export function tempName(name: string): string {
  return `.${name.slice(0, maxNameLength)}.pare-tmp-${process.pid}-${counter++}`;
}

/** Removes the temporary files in a folder whose process no longer runs. Ignores what it cannot. */
export async function removeStaleTempFiles(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names) {
    const pid = pattern.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await rm(join(folder, name), { force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
