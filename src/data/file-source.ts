/**
 * Samples that are a file each: pictures or sound. Opens and decodes one when it is asked for.
 */
import { PareError } from '../errors.js';
import { readAll } from '../onnx/byte-source.js';
import { fingerprintFolder } from './fingerprint.js';
import { type Folder, type FolderFile, sortFiles } from './folder.js';
import type { ImageDecoder } from './image.js';
import { imageExtensions } from './image-header.js';
import { type LabelledFiles, labelByFolder, labelByTable } from './label-files.js';
import type { RawSource } from './raw-source.js';
import { decodeWav } from './wav.js';

export interface FileSourceOptions {
  readonly decoder: ImageDecoder;
  /** Path of the table of labels in the folder; default a `labels.csv`, the uppermost one. */
  readonly labels?: string | undefined;
}

const soundExtensions = /\.wav$/i;

/** Throws `invalid-data` when there are neither pictures nor sounds, or both. */
export async function fileSource(folder: Folder, options: FileSourceOptions): Promise<RawSource> {
  const sorted = sortFiles(folder.files);
  const images = sorted.filter(({ path }) => imageExtensions.test(path));
  const sounds = sorted.filter(({ path }) => soundExtensions.test(path));
  if ((images.length === 0) === (sounds.length === 0)) throw unclear(folder, sorted, images.length);
  const kind = images.length > 0 ? 'image' : 'array';
  const samples = kind === 'image' ? images : sounds;
  const table = findTable(sorted, options.labels);
  const labelled: LabelledFiles = table
    ? await labelByTable(samples, table, folder.name)
    : labelByFolder(samples, folder.name);
  const others = sorted.length - samples.length - (table ? 1 : 0);
  const notes = [...labelled.notes];
  if (others > 0) notes.push(`${others} files are neither samples nor labels and are not used`);
  const decode = kind === 'image' ? imageReader(options.decoder) : soundReader();
  const { files, labels, parts } = labelled;
  return {
    name: folder.name,
    size: files.length,
    kind,
    hasLabels: labels !== undefined,
    classes: labels?.classes,
    parts,
    notes,
    async read(index) {
      const { path, open } = files[index]!;
      const tensor = await decode(await readAll(await open()), path);
      return { id: path, values: { '': tensor }, label: labels?.indices[index] };
    },
    // What is not used does not belong to the data's name.
    fingerprint: () =>
      fingerprintFolder({ ...folder, files: sortFiles(table ? [...files, table] : files) }),
  };
}

function imageReader(decoder: ImageDecoder) {
  return async (bytes: Uint8Array, name: string) => {
    const { width, height, channels, data } = await decoder(bytes, name);
    return { dataType: 'uint8', dims: [height, width, channels], data } as const;
  };
}

/** All sounds must have the rate of the first one read: nothing is resampled. */
function soundReader() {
  let expected: { rate: number; name: string } | undefined;
  return async (bytes: Uint8Array, name: string) => {
    const { rate, tensor } = decodeWav(bytes, name);
    expected ??= { rate, name };
    if (rate !== expected.rate) {
      throw new PareError(
        'invalid-data',
        `data: "${name}" has ${rate} samples per second, "${expected.name}" has ${expected.rate}`,
        { hint: `convert with: ffmpeg -i IN -ar ${expected.rate} -c:a pcm_s16le OUT.wav` },
      );
    }
    return tensor;
  };
}

function findTable(files: readonly FolderFile[], wanted: string | undefined) {
  if (wanted !== undefined) return files.find(({ path }) => path === wanted);
  const depth = (file: FolderFile) => file.path.split('/').length;
  return files
    .filter(({ path }) => /(^|\/)labels\.csv$/i.test(path))
    .sort((a, b) => depth(a) - depth(b))[0];
}

function unclear(folder: Folder, files: readonly FolderFile[], images: number): PareError {
  const some = files
    .slice(0, 3)
    .map(({ path }) => path)
    .join(', ');
  const what = images > 0 ? 'both pictures and sounds' : 'no samples that pare can read';
  return new PareError(
    'invalid-data',
    `data: ${what} among ${files.length} files (${some || 'none'})`,
    {
      file: folder.name,
      hint: 'pictures (jpg, png), 16-bit wav, npz, npy, IDX, CSV or JSONL',
    },
  );
}
