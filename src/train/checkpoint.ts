/**
 * What a training run needs to go on exactly where it stopped, as one file: weights, optimizer
 * state, the best weights so far, and where in the data it is. Where the file lies is the
 * caller's business.
 */
import { encodeNpz, readNpz } from '../data/npz.js';
import type { HostTensor } from '../engine/engine.js';
import { messageOf, PareError } from '../errors.js';
import { bytesSource } from '../onnx/byte-source.js';
import type { RateState } from './rate-guard.js';

/** One epoch as it was measured. */
export interface EpochRow {
  /** From 1. */
  readonly epoch: number;
  /** Mean over its steps. */
  readonly loss: number;
  /** Of its last step. */
  readonly learningRate: number;
  /** Validation, see `TrainResult.scoreName`; null where nothing was validated. */
  readonly score: number | null;
  readonly seconds: number;
}

export interface Checkpoint extends RateState {
  /** Says of what: another model, data or setting cannot go on from here. */
  readonly key: string;
  /** Steps done. */
  readonly step: number;
  /** Sum of the losses of the epoch that is under way, and its seconds so far. */
  readonly lossSum: number;
  readonly seconds: number;
  readonly history: readonly EpochRow[];
  /** Validation before the first step. */
  readonly startScore: number | null;
  /** By input of the step model. */
  readonly state: Readonly<Record<string, HostTensor>>;
  readonly best: BestWeights | undefined;
}

/** Weights by name, as they were after the epoch that scored best. */
export interface BestWeights {
  readonly epoch: number;
  readonly score: number;
  readonly weights: Readonly<Record<string, HostTensor>>;
}

/** Where checkpoints are kept. */
export interface CheckpointStore {
  /** The last one written; undefined when there is none. */
  read(): Promise<Uint8Array | undefined>;
  /** Replaces the last one, whole or not at all. */
  write(bytes: Uint8Array): Promise<void>;
  /** The run has ended. */
  remove(): Promise<void>;
}

const metaName = 'meta';
/** 2: the state of small weights and of kernels of 1x1 has one dim. 3: losses of the first steps. */
const schemaVersion = 3;

export function encodeCheckpoint({ state, best, ...rest }: Checkpoint): Uint8Array {
  const meta = {
    schema: schemaVersion,
    ...rest,
    best: best && { epoch: best.epoch, score: best.score },
    // Names of tensors are free text and need not be names of files.
    state: Object.keys(state),
    weights: Object.keys(best?.weights ?? {}),
  };
  const data = new TextEncoder().encode(JSON.stringify(meta));
  const arrays: Record<string, HostTensor> = {
    [metaName]: { dataType: 'uint8', dims: [data.length], data },
  };
  const add = (prefix: string, tensors: Readonly<Record<string, HostTensor>>) => {
    for (const [at, tensor] of Object.values(tensors).entries()) arrays[`${prefix}${at}`] = tensor;
  };
  add('state', state);
  add('best', best?.weights ?? {});
  return encodeNpz(arrays, { level: 0 });
}

/** Throws `invalid-data` for bytes that are no checkpoint. */
export async function decodeCheckpoint(bytes: Uint8Array, file: string): Promise<Checkpoint> {
  try {
    const arrays = await readNpz(bytesSource(bytes, file));
    const text = new TextDecoder().decode(arrays[metaName]?.data as Uint8Array);
    const { schema, state, weights, best, ...rest } = JSON.parse(text);
    if (schema !== schemaVersion) {
      throw new Error(`it has schema ${schema}, this version reads ${schemaVersion}`);
    }
    const named = (names: readonly string[], prefix: string) =>
      Object.fromEntries(names.map((name, at) => [name, arrays[`${prefix}${at}`]!]));
    return {
      ...rest,
      state: named(state, 'state'),
      best: best ? { ...best, weights: named(weights, 'best') } : undefined,
    };
  } catch (cause) {
    throw new PareError('invalid-data', `train: not a checkpoint: ${messageOf(cause)}`, {
      file,
      hint: 'remove it to begin anew',
      cause,
    });
  }
}
