/**
 * Finds out what a file or folder holds, by content first and by name second, and opens it as a
 * Dataset. Touches no file system: node.ts and pages bring the bytes.
 */
import type { PortInfo } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { type ByteSource, bytesSource, readAll } from '../onnx/byte-source.js';
import { arraySource } from './array-source.js';
import { csvSource } from './csv-source.js';
import type { Dataset } from './dataset.js';
import { decodeImage } from './decode-image.js';
import { fileSource } from './file-source.js';
import { fingerprintFolder, fingerprintSource } from './fingerprint.js';
import { baseName, type Folder, isFolder, sortFiles } from './folder.js';
import { isIdx, readIdx } from './idx.js';
import { idxSource } from './idx-source.js';
import type { ImageDecoder } from './image.js';
import { imageExtensions } from './image-header.js';
import { gunzip } from './inflate.js';
import { iterableSource, type SampleIterable } from './iterable-source.js';
import { jsonlSource } from './jsonl-source.js';
import { makeDataset } from './make-dataset.js';
import { isNpy, readNpy } from './npy.js';
import { openArrays } from './npz.js';
import { type PreprocessInput, parsePreprocess } from './preprocess.js';
import type { RawSource } from './raw-source.js';
import { readZip } from './zip.js';

export interface OpenOptions {
  /** The model's inputs: samples take their names, shapes and types. Without, data as it is. */
  readonly ports?: readonly PortInfo[] | undefined;
  /** Default 'raw'. */
  readonly preprocess?: PreprocessInput | undefined;
  /** Default the plain JavaScript decoder of JPEG and PNG. */
  readonly decoder?: ImageDecoder | undefined;
  /** Path in the folder of the table `file,label`; default `labels.csv` where there is one. */
  readonly labels?: string | undefined;
  /** Samples read and decoded ahead of the consumer. Default 4. */
  readonly prefetch?: number | undefined;
}

/**
 * Opens a file (npz, npy, zip of pictures or sounds, IDX, CSV, JSONL, gzip of these) or a
 * folder (pictures or 16-bit wav by class or with labels.csv, npy arrays, IDX files). Throws
 * `invalid-data` for what cannot be read and `data-mismatch` when the first sample does not
 * fit the model.
 *
 * @example
 * const dataset = await openDataset(blobSource(file), { ports: session.inputs, preprocess: 'imagenet' });
 * for await (const { inputs, label } of dataset.samples()) use(inputs, label);
 */
export async function openDataset(
  source: ByteSource | Folder,
  options: OpenOptions = {},
): Promise<Dataset> {
  const preprocess = parsePreprocess(options.preprocess);
  const raw = isFolder(source)
    ? await openFolder(source, options)
    : await openFile(source, options);
  return makeDataset(raw, { ports: options.ports, preprocess, prefetch: options.prefetch ?? 4 });
}

/**
 * A Dataset over samples from memory, a generator or a user's module; see IterableSample for
 * what may be yielded. Iterates once and holds the values.
 *
 * @example
 * await iterableDataset([{ inputs: { x: new Float32Array(4) }, label: 1 }], 'mine');
 */
export async function iterableDataset(
  iterable: SampleIterable,
  name: string,
  options: OpenOptions = {},
): Promise<Dataset> {
  const preprocess = parsePreprocess(options.preprocess);
  const raw = await iterableSource(iterable, name);
  return makeDataset(raw, { ports: options.ports, preprocess, prefetch: 1 });
}

async function openFile(source: ByteSource, options: OpenOptions): Promise<RawSource> {
  const { ports } = options;
  const start = await source.slice(0, Math.min(16, source.byteLength));
  const fingerprint = () => fingerprintSource(source);
  if (start[0] === 0x1f && start[1] === 0x8b) {
    const inner = bytesSource(
      gunzip(await readAll(source), source.name),
      source.name.replace(/\.gz$/i, ''),
    );
    return { ...(await openFile(inner, options)), name: source.name, fingerprint };
  }
  if (start[0] === 0x50 && start[1] === 0x4b) {
    return openFolder(
      { name: source.name, files: await readZip(source), container: source },
      options,
    );
  }
  if (isNpy(start)) {
    const arrays = new Map([['x', await readNpy(source)]]);
    return arraySource(arrays, { name: source.name, ports: undefined, fingerprint });
  }
  if (isIdx(start)) {
    const arrays = new Map([['x', await readIdx(source)]]);
    return arraySource(arrays, { name: source.name, ports: undefined, fingerprint });
  }
  if (/\.(jsonl|ndjson|json)$/i.test(source.name) || start[0] === 0x7b)
    return jsonlSource(source, ports);
  if (/\.(csv|tsv|txt)$/i.test(source.name)) return csvSource(source, ports);
  if (imageExtensions.test(source.name) || /\.wav$/i.test(source.name)) {
    const files = [{ path: baseName(source.name), open: async () => source }];
    return openFolder({ name: source.name, files, container: source }, options);
  }
  const bytes = Array.from(start.subarray(0, 8), (b) => b.toString(16).padStart(2, '0')).join(' ');
  throw new PareError('invalid-data', `data: unknown format (starts with ${bytes || 'nothing'})`, {
    file: source.name,
    hint: 'a folder or zip of pictures or 16-bit wav, npz, npy, IDX, CSV, JSONL, or a module (.js, .mjs)',
  });
}

async function openFolder(folder: Folder, options: OpenOptions): Promise<RawSource> {
  const files = sortFiles(folder.files);
  const arrays = files.filter(({ path }) => /\.npy$/i.test(path));
  const fingerprint = () => fingerprintFolder({ ...folder, files });
  if (arrays.length > 0 && arrays.length === files.length) {
    const readers = await openArrays(arrays);
    return arraySource(readers, { name: folder.name, ports: options.ports, fingerprint });
  }
  const idx = await idxSource(folder);
  if (idx) return idx;
  const decoder = options.decoder ?? decodeImage;
  return fileSource(folder, { decoder, labels: options.labels });
}
