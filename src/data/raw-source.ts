/**
 * Samples as a format's reader gives them, before any preprocessing: what every reader makes and
 * make-dataset.ts turns into a Dataset.
 */
import type { HostTensor } from '../engine/engine.js';
import type { DatasetParts } from './dataset.js';

export interface RawSample {
  readonly id: string;
  /** Arrays by their name in the data; '' where the data has no names. */
  readonly values: Readonly<Record<string, HostTensor>>;
  readonly label?: number | undefined;
}

export interface RawSource {
  readonly name: string;
  readonly size: number;
  /** Decoded pictures are HWC bytes; arrays are whatever was stored. */
  readonly kind: 'image' | 'array';
  readonly hasLabels: boolean;
  readonly classes?: readonly string[] | undefined;
  readonly parts?: DatasetParts | undefined;
  readonly notes: readonly string[];
  /** Reads and decodes one sample. Throws `invalid-data`. */
  read(index: number): Promise<RawSample>;
  fingerprint(): Promise<string>;
}

/** Names under which arrays and columns carry the label, unless a model input has that name. */
export const labelNames: readonly string[] = Object.freeze(['y', 'label', 'labels']);
