/**
 * Reads a calibration table from disk.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ioError } from '../disk/io-error.js';
import { type CalibrationTable, parseCalibration } from '../quantize/calibrate/table.js';

/** Throws `io` for a file that cannot be read, `invalid-data` for one that is no table. */
export async function readCalibration(path: string, cwd: string): Promise<CalibrationTable> {
  const file = resolve(cwd, path);
  const text = await readFile(file, 'utf8').catch((error) => {
    throw ioError('read', file, error);
  });
  return parseCalibration(text, file);
}
