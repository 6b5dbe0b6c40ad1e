/**
 * What an engine and the worker in which the runtime lives say to each other, whichever runtime
 * and platform. Types only.
 */
import type { Tensor } from 'onnxruntime-common';
import type { TypedArray } from '../../onnx/data-type.js';

/** A tensor on the way: ORT's name of the type; float16 as Uint16Array. */
export interface WireTensor {
  readonly type: Tensor.Type;
  readonly dims: readonly number[];
  readonly data: TypedArray | string[];
}

export type WireTensors = Readonly<Record<string, WireTensor>>;

export interface WirePort {
  readonly name: string;
  /** Undefined for a sequence, map or optional. */
  readonly type?: Tensor.Type | undefined;
  readonly dims?: readonly (number | string)[] | undefined;
}

export type WireModel = { readonly path: string } | { readonly bytes: Uint8Array };

/** The session options of onnxruntime-common that pare uses, all of them cloneable. */
export interface WireSessionOptions {
  readonly intraOpNumThreads: number;
  readonly interOpNumThreads: number;
  readonly graphOptimizationLevel: 'disabled' | 'basic' | 'extended' | 'layout' | 'all';
  readonly logSeverityLevel: 4;
  readonly enableMemPattern: boolean;
  readonly executionProviders?: readonly string[];
  readonly extra: Readonly<Record<string, string>>;
  readonly externalData?: readonly { readonly path: string; readonly data: Uint8Array }[];
  readonly optimizedModelFilePath?: string;
  readonly enableProfiling?: boolean;
  readonly profileFilePrefix?: string;
}

export interface Released {
  /** What a runtime without files printed: the profile of a profiled session, otherwise ''. */
  readonly printed: string;
}

/** What each request carries and what its answer carries. */
export interface Protocol {
  create: {
    request: { model: WireModel; options: WireSessionOptions };
    reply: { session: number; inputs: WirePort[]; outputs: WirePort[] };
  };
  run: {
    request: { session: number; feeds: WireTensors; fetches: readonly string[] };
    reply: Record<string, WireTensor>;
  };
  time: {
    request: {
      entries: readonly { session: number; feeds: WireTensors }[];
      warmup: number;
      rounds: number;
      maxMs: number;
    };
    reply: Float64Array[];
  };
  /** Ends the profile of a profiled session before it frees it. */
  release: { request: { session: number }; reply: Released };
  /** Frees every session and lets the thread end. */
  close: { request: Record<string, never>; reply: null };
}

export type Kind = keyof Protocol;

export type Request = {
  [K in Kind]: { readonly kind: K; readonly id: number } & Protocol[K]['request'];
}[Kind];

export type ToWorker = Request | { readonly kind: 'cancel'; readonly id: number };

export type FromWorker =
  | { readonly kind: 'ready'; readonly version: string }
  /** The runtime did not load; `missing` when its package is not there at all. */
  | { readonly kind: 'failed'; readonly message: string; readonly missing: boolean }
  | { readonly kind: 'reply'; readonly id: number; readonly value: Protocol[Kind]['reply'] }
  | { readonly kind: 'error'; readonly id: number; readonly message: string };
