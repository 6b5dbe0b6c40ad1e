/**
 * NumPy's archive of arrays, a zip of npy files: read and written. For the arrays themselves;
 * array-source.ts makes samples of them.
 */
import { type Zippable, zipSync } from 'fflate';
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import type { ByteSource } from '../onnx/byte-source.js';
import type { ArrayReader } from './array-reader.js';
import type { FolderFile } from './folder.js';
import { encodeNpy, readNpy } from './npy.js';
import { readZip } from './zip.js';

/** The arrays of npy files by name without the extension. */
export async function openArrays(files: readonly FolderFile[]): Promise<Map<string, ArrayReader>> {
  const arrays = new Map<string, ArrayReader>();
  for (const file of files) {
    arrays.set(file.path.replace(/\.npy$/i, ''), await readNpy(await file.open()));
  }
  return arrays;
}

/**
 * Reads every array of a npz file into memory, by name. Throws `invalid-data` for a broken file
 * or an array of something else than numbers.
 */
export async function readNpz(source: ByteSource): Promise<Record<string, HostTensor>> {
  const arrays = await openArrays(
    (await readZip(source)).filter(({ path }) => path.endsWith('.npy')),
  );
  const tensors: Record<string, HostTensor> = {};
  for (const [name, reader] of arrays) tensors[name] = await reader.all();
  return tensors;
}

export interface NpzOptions {
  /** Deflate level; 0 stores, as `np.savez` does. Default 6, as `np.savez_compressed`. */
  readonly level?: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
}

/**
 * The bytes of a npz file that `numpy.load` reads. The same arrays give the same bytes. Throws
 * `unsupported` for a type that NumPy has not, or above 4 GiB in all.
 *
 * @example
 * encodeNpz({ x: { dataType: 'uint8', dims: [2, 2], data: new Uint8Array(4) } });
 */
export function encodeNpz(
  tensors: Readonly<Record<string, HostTensor>>,
  options: NpzOptions = {},
): Uint8Array {
  const files: Zippable = {};
  let total = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    const bytes = encodeNpy(tensor);
    total += bytes.length;
    files[`${name}.npy`] = bytes;
  }
  if (total >= 2 ** 32 - 2 ** 20) {
    throw new PareError('unsupported', `data: ${total} bytes are too many for one npz file`, {
      hint: 'write one npy file per array',
    });
  }
  return zipSync(files, { level: options.level ?? 6, mtime: new Date(1980, 0, 1) });
}
