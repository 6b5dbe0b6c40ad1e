/**
 * What pare asks of a runtime: make a session of a model, run it, time it, and tell what it did.
 * Passes and measurements see this interface only; node.ts implements it over onnxruntime-node.
 */
import type { DataType, TypedArray } from '../onnx/data-type.js';

/**
 * A tensor outside the graph: what goes into a run and what comes out of it.
 * float16 and bfloat16 are 16-bit patterns in a Uint16Array, bool is a Uint8Array of 0 and 1,
 * whatever the runtime and the Node version hand out. int4 and the like never cross this border.
 */
export interface HostTensor {
  readonly dataType: DataType;
  readonly dims: readonly number[];
  readonly data: TypedArray | readonly string[];
}

export type Feeds = Readonly<Record<string, HostTensor>>;

/**
 * An input or output of a session. A symbolic dimension is its name, an unknown one ''.
 * Type and dims are undefined when the value is no tensor (a sequence, map or optional).
 * Dims of unknown rank read [] like those of a scalar: the runtime does not tell them apart.
 */
export interface PortInfo {
  readonly name: string;
  readonly dataType: DataType | undefined;
  readonly dims: readonly (number | string)[] | undefined;
}

/** The model that a session is made of: a file (with its external data beside it) or bytes. */
export type ModelSource =
  | { readonly path: string }
  | {
      /** The parts of the file, in order, as `encodeModel` returns them. */
      readonly parts: readonly Uint8Array[];
      /** External data files by their location in the model. */
      readonly externalData?: ReadonlyMap<string, readonly Uint8Array[]> | undefined;
    };

export type OptimizationLevel = 'disabled' | 'basic' | 'extended' | 'layout' | 'all';

export interface SessionOptions {
  /** Default 'all', the runtime's own default. Use 'disabled' for throw-away graphs. */
  readonly optimization?: OptimizationLevel;
  /** Intra-op threads; default the engine's. */
  readonly threads?: number;
  /**
   * Whether the runtime plans the memory of a run as one block, from its second run on; default
   * true. Without, a step of training takes a third less memory and no more time.
   */
  readonly memoryPattern?: boolean;
  /** Runtime options by their dotted name, such as 'session.disable_quant_qdq': '1'. */
  readonly config?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

export interface RunOptions {
  /** Cancels the run while it waits for its turn; a run that has begun goes on to its end. */
  readonly signal?: AbortSignal | undefined;
}

/** Kernel times of one node, summed over the profiled runs. The runtime may have fused or renamed it. */
export interface ProfileRow {
  readonly node: string;
  readonly opType: string;
  readonly provider: string;
  readonly calls: number;
  /** Microseconds in the kernel, all calls together. */
  readonly totalUs: number;
  /** Bytes of the outputs of one call, and of the weights that the node reads. */
  readonly outputBytes: number;
  readonly parameterBytes: number;
}

export interface EngineSession {
  readonly inputs: readonly PortInfo[];
  readonly outputs: readonly PortInfo[];
  /**
   * Runs once. `fetches` names the outputs to return; default all of them. The feeds are copied
   * before the call returns: the caller may overwrite them while the run is pending.
   */
  run(
    feeds: Feeds,
    fetches?: readonly string[],
    options?: RunOptions,
  ): Promise<Record<string, HostTensor>>;
  /** Frees the runtime's memory. Safe to call twice; a run after it throws. */
  release(): Promise<void>;
}

export interface TimingOptions {
  /** Rounds of warm-up that are not counted. */
  readonly warmup: number;
  /** Counted rounds; in each round every session runs once, in turn. */
  readonly rounds: number;
  /** Stop after about this many milliseconds even if rounds are left; one round is always counted. */
  readonly maxMs?: number | undefined;
  /** Checked before every run. */
  readonly signal?: AbortSignal | undefined;
}

/** Memory of a process that loads and runs one model and does nothing else. */
export interface PeakMemory {
  /** Resident bytes with the runtime and the feeds in memory, before the model is loaded. */
  readonly baselineBytes: number;
  /** The most bytes that were resident at any moment up to the end of the last run. */
  readonly peakBytes: number;
}

/** Everything that pare needs of a runtime. Nothing here knows any pass. */
export interface Engine {
  /** Such as 'onnxruntime-node'. */
  readonly name: string;
  readonly version: string;
  readonly target: Target;
  readonly threads: number;
  createSession(model: ModelSource, options?: SessionOptions): Promise<EngineSession>;
  /**
   * Milliseconds of each counted run, per session, interleaved round by round inside the
   * engine's worker, so that drift of the machine hits all sessions alike.
   */
  time(
    sessions: readonly { readonly session: EngineSession; readonly feeds: Feeds }[],
    options: TimingOptions,
  ): Promise<Float64Array[]>;
  /**
   * Runs the model `runs` times (default 5) with the runtime's profiler on, after one run that is
   * not counted, and sums up by node, in order of execution.
   */
  profile(
    model: ModelSource,
    feeds: Feeds,
    options?: SessionOptions & { readonly runs?: number },
  ): Promise<ProfileRow[]>;
  /**
   * The bytes of the model as the runtime rewrote it at this level: the oracle of "was it fused?".
   * Weights in external files, and those beyond what one protobuf can hold, are referenced only.
   */
  optimized(model: ModelSource, options?: SessionOptions): Promise<Uint8Array>;
  /** Measured in a process of its own; absent where the platform cannot tell. */
  peakMemory?(
    model: ModelSource,
    feeds: Feeds,
    options?: SessionOptions & { readonly runs?: number },
  ): Promise<PeakMemory>;
  /** Ends the workers. Sessions still open are released; runs that wait for their turn are rejected. */
  close(): Promise<void>;
}

/** A runtime and provider that a model is made for. */
export type Target = 'node' | 'wasm' | 'webgpu';
