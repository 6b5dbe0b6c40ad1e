/**
 * What the system says about a file, in words, with what to do about it.
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, PareError } from '../errors.js';

/**
 * A PareError `io` for an error of node:fs; a PareError passes through as it is.
 * @example throw ioError('write', 'out.onnx', error); // write: the disk is full (file "out.onnx")
 */
export function ioError(action: 'read' | 'write', path: string, error: unknown): PareError {
  if (error instanceof PareError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  const { text, hint } = explain(code, action, path, error);
  return new PareError('io', `${action}: ${text}`, { file: path, hint, cause: error });
}

function explain(
  code: string,
  action: 'read' | 'write',
  path: string,
  error: unknown,
): { text: string; hint?: string } {
  switch (code) {
    case 'ENOSPC':
      return { text: 'the disk is full', hint: 'free space, or write to another disk with -o' };
    case 'EDQUOT':
      return { text: 'the disk quota is used up', hint: 'free space, or write elsewhere with -o' };
    case 'EFBIG':
      return { text: 'the file is larger than the file system or the process may write' };
    case 'EROFS':
      return { text: 'the file system is read-only', hint: 'write elsewhere with -o' };
    case 'EACCES':
    case 'EPERM':
      return action === 'write'
        ? { text: 'no permission', hint: `check the rights of the folder ${dirname(path)}` }
        : { text: 'no permission', hint: 'check the rights of the file' };
    case 'ENOENT':
      return action === 'write'
        ? explainNoEntry(dirname(path))
        : {
            text: 'there is no such file',
            hint: 'check the path; it is relative to the folder you are in',
          };
    case 'ENOTDIR':
      return { text: 'a part of the path is a file, not a folder', hint: 'check the path' };
    case 'ENAMETOOLONG':
      return { text: 'the name is too long', hint: 'choose a shorter one' };
    case 'EISDIR':
      return { text: 'this is a folder, not a file', hint: 'name a file in it' };
    case 'EMFILE':
    case 'ENFILE':
      return { text: 'too many open files', hint: 'close other programs, or raise ulimit -n' };
    default:
      return { text: messageOf(error) };
  }
}

/** What the system answers for a folder that is missing, and for one such as /proc. */
function explainNoEntry(folder: string): { text: string; hint: string } {
  return existsSync(folder)
    ? { text: `no file can be made in ${folder}`, hint: 'choose another folder with -o' }
    : {
        text: `there is no folder ${folder}`,
        hint: 'make the folder first, or choose another with -o',
      };
}
