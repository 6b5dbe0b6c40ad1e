/**
 * The data room: samples and labels out of every format, preprocessed for a model's inputs.
 * This face runs in Node and in the browser; node.ts adds the file system.
 */
export { type Batch, type BatchOptions, batches } from './batches.js';
export type { Dataset, DatasetParts, IndexRange, Sample, Split } from './dataset.js';
export { decodeImage } from './decode-image.js';
export type { Folder, FolderFile } from './folder.js';
export type { Image, ImageDecoder } from './image.js';
export type { IterableSample, SampleIterable } from './iterable-source.js';
export { encodeNpy, readNpy } from './npy.js';
export { encodeNpz, type NpzOptions, readNpz } from './npz.js';
export { iterableDataset, type OpenOptions, openDataset } from './open.js';
export {
  describePreprocess,
  type Interpolation,
  type Preprocess,
  type PreprocessInput,
  parsePreprocess,
  preprocessSchema,
} from './preprocess.js';
export { type PresetName, presetNames, presets } from './presets.js';
export { resizeImage } from './resize.js';
export { type SplitOptions, splitDataset } from './split.js';
export { parseVocabulary, type Vocabulary } from './vocabulary.js';
export { decodeImageInBrowser } from './web-decode.js';
