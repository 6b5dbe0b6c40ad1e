/**
 * Temporary files of this process, so that none stays behind: whoever makes one registers it, and
 * a forced exit removes what is left. After SIGKILL the next run removes it
 * (temp-names.ts).
 */
import { rmSync } from 'node:fs';

const files = new Set<string>();
let listening = false;

/** Registers a file before it is made; returns what takes it off the list again. */
export function registerTempFile(path: string): () => void {
  files.add(path);
  if (!listening) {
    listening = true;
    process.on('exit', removeTempFiles);
  }
  return () => files.delete(path);
}

/** Removes what is registered, at once, ignoring what cannot be removed: the process is ending. */
export function removeTempFiles(): void {
  for (const path of files) {
    try {
      rmSync(path, { force: true });
    } catch {
      // Nobody is left to tell.
    }
  }
  files.clear();
}
