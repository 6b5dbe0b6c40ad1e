/**
 * Samples out of a folder of IDX files in MNIST's naming: images with their labels beside them,
 * one pair, or a training and a test pair as two parts of one data set.
 */
import { PareError } from '../errors.js';
import { bytesSource, readAll } from '../onnx/byte-source.js';
import type { ArrayReader } from './array-reader.js';
import { arraySource } from './array-source.js';
import { fingerprintFolder } from './fingerprint.js';
import { baseName, type Folder, type FolderFile, sortFiles } from './folder.js';
import { idxLabelsName, readIdx } from './idx.js';
import { gunzip } from './inflate.js';
import type { RawSource } from './raw-source.js';

const imagesName = /images[-._]idx\d[-._]ubyte(\.gz)?$/i;

/** Undefined when no file has the name of IDX images. Throws `invalid-data` for three pairs or more. */
export async function idxSource(folder: Folder): Promise<RawSource | undefined> {
  const files = sortFiles(folder.files);
  const images = files.filter(({ path }) => imagesName.test(path));
  if (images.length === 0) return undefined;
  const train = images.find(({ path }) => /train/i.test(baseName(path)));
  const test = images.find((file) => file !== train);
  if (images.length > 2 || (images.length === 2 && !train)) {
    const names = images.map(({ path }) => path).join(', ');
    throw new PareError('invalid-data', `data: several sets of IDX images (${names})`, {
      file: folder.name,
      hint: 'name one of the files instead of the folder',
    });
  }
  const pairs = [train, test].filter((file) => file !== undefined);
  const sources: RawSource[] = [];
  for (const pair of pairs) sources.push(await openPair(folder, files, pair));
  return sources.length === 1 ? sources[0]! : joinParts(folder.name, sources[0]!, sources[1]!);
}

async function openPair(folder: Folder, files: readonly FolderFile[], images: FolderFile) {
  const labelsName = idxLabelsName(images.path);
  const labels = files.find(({ path }) => path === labelsName);
  const arrays = new Map<string, ArrayReader>([['images', await openIdx(images)]]);
  if (labels) arrays.set('labels', await openIdx(labels));
  const used = labels ? [images, labels] : [images];
  return arraySource(arrays, {
    name: folder.name,
    fingerprint: () => fingerprintFolder({ name: folder.name, files: used }),
  });
}

async function openIdx(file: FolderFile): Promise<ArrayReader> {
  const source = await file.open();
  if (!/\.gz$/i.test(file.path)) return readIdx(source);
  return readIdx(bytesSource(gunzip(await readAll(source), file.path), file.path));
}

function joinParts(name: string, train: RawSource, test: RawSource): RawSource {
  const start = train.size;
  const size = start + test.size;
  return {
    name,
    size,
    kind: 'array',
    hasLabels: train.hasLabels && test.hasLabels,
    parts: { train: { start: 0, end: start }, test: { start, end: size } },
    notes: [],
    async read(index) {
      const sample = index < start ? await train.read(index) : await test.read(index - start);
      return { ...sample, id: String(index) };
    },
    async fingerprint() {
      const lines = `${await train.fingerprint()}\n${await test.fingerprint()}\n`;
      return fingerprintFolder({
        name,
        files: [],
        container: bytesSource(new TextEncoder().encode(lines)),
      });
    },
  };
}
