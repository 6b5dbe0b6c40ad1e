/**
 * Samples and labels as every part of pare sees them, whatever format they came from.
 */
import type { HostTensor } from '../engine/engine.js';

/**
 * One sample, already preprocessed. Tensors have no batch dimension: an image for an input
 * [N,3,224,224] has dims [3,224,224], tokens for [1,len] have dims [len].
 */
export interface Sample {
  /** Stable name of the sample: its path, or its index in an array file. */
  readonly id: string;
  /** By model input; the key '' stands for the model's only input. */
  readonly inputs: Readonly<Record<string, HostTensor>>;
  /** Class index. Absent where the data carries no label. */
  readonly label?: number | undefined;
}

/** Samples [start, end) of a dataset. */
export interface IndexRange {
  readonly start: number;
  readonly end: number;
}

/** Where the data itself says which samples are for training and which for testing. */
export interface DatasetParts {
  readonly train: IndexRange;
  readonly test: IndexRange;
}

export interface Dataset {
  /** For messages and receipts: the path or name that the user gave. */
  readonly name: string;
  readonly size: number;
  readonly hasLabels: boolean;
  readonly classes?: readonly string[] | undefined;
  /** Set when the data came in a train and a test part, as MNIST does; splits respect it. */
  readonly parts?: DatasetParts | undefined;
  /** One line that says what was done to the raw data, for the receipt. */
  readonly preprocessing: string;
  /** What the reader should know: files or arrays of the data that are not used, and why. */
  readonly notes?: readonly string[] | undefined;
  /** Streams the samples with these indices, in this order; default all, in file order. */
  samples(indices?: ArrayLike<number>): AsyncIterable<Sample>;
  /** Hex SHA-256 over the raw content: the receipt names the data by it. */
  fingerprint(): Promise<string>;
  /** Frees files and workers, if there are any. */
  close?(): Promise<void>;
}

/** Two or three disjoint, seeded parts of a dataset, as indices into it. */
export interface Split {
  readonly calibrate: Uint32Array;
  readonly train: Uint32Array;
  readonly evaluate: Uint32Array;
}
