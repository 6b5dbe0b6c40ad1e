/**
 * One model that is run on samples: makes its feeds, fills inputs that the data does not have from
 * constants, and hands the outputs back sample by sample. Judges nothing.
 */
import { batches } from '../data/batches.js';
import { castTensor } from '../data/convert.js';
import type { Dataset, Sample } from '../data/dataset.js';
import type { Engine, EngineSession, Feeds, HostTensor, PortInfo } from '../engine/engine.js';
import { describePort } from '../engine/ort-types.js';
import { PareError } from '../errors.js';
import { dataTypes, elementCount } from '../onnx/data-type.js';
import { type NamedModel, type SharedSessionOptions, sessionOptions } from './named-model.js';

/** Outputs of one sample by name, without the batch dimension. */
export type SampleOutputs = Readonly<Record<string, HostTensor>>;

export interface RunnerOptions {
  /**
   * Tensors for inputs that the data does not have, such as the state of a recurrent model. A
   * tensor with one element fills the whole input, whose symbolic dims are those of the data.
   */
  readonly constants?: Feeds | undefined;
  /**
   * Samples per run where the model allows it. Default 1, the way models are deployed: with
   * dynamic quantization the scale of an activation depends on what else is in the batch.
   */
  readonly batchSize?: number | undefined;
  readonly session?: SharedSessionOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class SampleRunner {
  readonly name: string;
  readonly adapt: NamedModel['adapt'];
  readonly restore: NamedModel['restore'];
  /** Outputs that are tensors, in the model's order: those that are fetched. */
  readonly outputs: readonly PortInfo[];
  /** Outputs that are sequences or maps, which are not fetched. */
  readonly skipped: readonly string[];
  /** Inputs that the data feeds. */
  readonly dataPorts: readonly PortInfo[];
  readonly #session: EngineSession;
  readonly #options: RunnerOptions;

  /** @internal Use openRunner. */
  constructor(model: Omit<NamedModel, 'source'>, session: EngineSession, options: RunnerOptions) {
    this.name = model.name;
    this.adapt = model.adapt;
    this.restore = model.restore;
    this.#session = session;
    this.#options = options;
    const constants = options.constants ?? {};
    this.dataPorts = session.inputs.filter((port) => !Object.hasOwn(constants, port.name));
    this.outputs = session.outputs.filter((port) => port.dataType !== undefined);
    this.skipped = session.outputs
      .filter((port) => port.dataType === undefined)
      .map((port) => port.name);
    if (this.outputs.length === 0) {
      throw new PareError('unsupported', `evaluate: "${name}" has no output that is a tensor`);
    }
  }

  /** The batch size that the model insists on; undefined where it is open. */
  get fixedBatch(): number | undefined {
    const sizes = this.dataPorts.map(({ dims }) => dims?.[0]);
    return sizes.find((size): size is number => typeof size === 'number');
  }

  /**
   * Outputs of the samples, in order. Throws `data-mismatch` for an input that neither the data
   * nor the constants have, and where a shape does not fit.
   */
  async run(samples: readonly Sample[]): Promise<SampleOutputs[]> {
    this.#checkInputs(samples[0]);
    const fitted = samples.map((sample) => this.#castFloats(this.#adapted(sample)));
    const { batchSize = 1, signal } = this.#options;
    const results: SampleOutputs[] = [];
    for await (const batch of batches(asDataset(fitted), this.dataPorts, { batchSize })) {
      const feeds = { ...batch.feeds, ...this.#constantFeeds(batch.feeds) };
      const fetches = this.outputs.map(({ name }) => name);
      const given = await this.#session.run(feeds, fetches, { signal });
      const outputs = this.restore ? this.restore(given) : given;
      results.push(...this.#split(outputs, batch.feeds, batch.count, fitted[results.length]!));
    }
    return results;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  #checkInputs(sample: Sample | undefined): void {
    if (!sample || ('' in sample.inputs && this.dataPorts.length === 1)) return;
    const missing = this.dataPorts.filter((port) => !Object.hasOwn(sample.inputs, port.name));
    if (missing.length === 0) return;
    const unnamed = '' in sample.inputs ? ', only an array without a name' : '';
    throw new PareError(
      'data-mismatch',
      `evaluate: the data has nothing for ${missing.map(describePort).join(', ')} of "${this.name}"${unnamed}`,
      {
        hint: 'give the states and switches among them as constants; one number fills an input',
      },
    );
  }

  /** The sample in the form that this model takes, for one that differs from the data's. */
  #adapted(sample: Sample): Sample {
    const { adapt } = this;
    const wanted = (name: string) =>
      (this.dataPorts.find((port) => port.name === name) ?? this.dataPorts[0])?.dataType;
    const fits = Object.entries(sample.inputs).every(
      ([name, { dataType }]) => dataType === wanted(name),
    );
    if (!adapt || fits) return sample;
    const single = Object.entries(sample.inputs).map(([name, { dims, ...rest }]) => [
      name || this.dataPorts[0]!.name,
      { ...rest, dims: [1, ...dims] },
    ]);
    const inputs = Object.entries(adapt(Object.fromEntries(single))).map(
      ([name, { dims, ...rest }]) => [name, { ...rest, dims: dims.slice(1) }],
    );
    return { ...sample, inputs: Object.fromEntries(inputs) };
  }

  /** Models with float16 inputs are fed the same numbers as their float reference. */
  #castFloats(sample: Sample): Sample {
    const inputs: Record<string, HostTensor> = {};
    for (const [name, tensor] of Object.entries(sample.inputs)) {
      const port = this.dataPorts.find((each) => each.name === name) ?? this.dataPorts[0];
      const isFloat = dataTypes[tensor.dataType].kind === 'float';
      const wanted = port?.dataType;
      const casts = isFloat && wanted !== undefined && dataTypes[wanted].kind === 'float';
      inputs[name] = casts ? castTensor(tensor, wanted, sample.id) : tensor;
    }
    return { ...sample, inputs };
  }

  #constantFeeds(feeds: Feeds): Feeds {
    const filled: Record<string, HostTensor> = {};
    for (const port of this.#session.inputs) {
      const constant = this.#options.constants?.[port.name];
      if (constant) filled[port.name] = expand(constant, port, this.#symbols(feeds));
    }
    return filled;
  }

  /** Sizes of the symbolic dims of the inputs that the data feeds. */
  #symbols(feeds: Feeds): Map<string, number> {
    const symbols = new Map<string, number>();
    for (const { name, dims } of this.dataPorts) {
      dims?.forEach((dim, axis) => {
        const size = feeds[name]?.dims[axis];
        if (typeof dim === 'string' && dim !== '' && size !== undefined) symbols.set(dim, size);
      });
    }
    return symbols;
  }

  /**
   * Rows of the outputs along axis 0 where that is the batch. An output of another shape (a state
   * with the batch on axis 1) belongs to the run as a whole and goes to its first sample.
   */
  #split(
    outputs: Record<string, HostTensor>,
    feeds: Feeds,
    count: number,
    sample: Sample,
  ): SampleOutputs[] {
    const [port] = this.dataPorts;
    const feed = port && feeds[port.name];
    const row = port && (sample.inputs[port.name] ?? sample.inputs['']);
    const isBatched = feed !== undefined && row !== undefined && feed.dims.length > row.dims.length;
    const size = isBatched ? feed.dims[0] : undefined;
    const results: Record<string, HostTensor>[] = Array.from({ length: count }, () => ({}));
    for (const [name, tensor] of Object.entries(outputs)) {
      if (size === undefined || tensor.dims[0] !== size) results[0]![name] = tensor;
      else for (const [at, result] of results.entries()) result[name] = rowOf(tensor, at);
    }
    return results;
  }
}

/** Throws what the engine throws for a model that does not load. Release the runner when done. */
export async function openRunner(
  engine: Engine,
  model: NamedModel,
  options: RunnerOptions,
): Promise<SampleRunner> {
  const settings = sessionOptions(model, options.session, options.signal);
  const session = await engine.createSession(model.source, settings);
  try {
    return new SampleRunner(model, session, options);
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** Row `at` of axis 0, as a view. */
function rowOf({ dataType, dims, data }: HostTensor, at: number): HostTensor {
  const rest = dims.slice(1);
  const size = elementCount(rest);
  const [start, end] = [at * size, (at + 1) * size];
  const part = ArrayBuffer.isView(data) ? data.subarray(start, end) : data.slice(start, end);
  return { dataType, dims: rest, data: part };
}

/** A constant as it is, or its only element at every place of the input. */
function expand(
  constant: HostTensor,
  port: PortInfo,
  symbols: ReadonlyMap<string, number>,
): HostTensor {
  if (constant.data.length !== 1 || !port.dims) return constant;
  const dims = port.dims.map((dim) => (typeof dim === 'number' ? dim : symbols.get(dim)));
  const open = port.dims.filter((_, axis) => dims[axis] === undefined);
  if (open.length > 0) {
    if (constant.dims.length === port.dims.length) return constant;
    throw new PareError(
      'data-mismatch',
      `evaluate: the constant for ${describePort(port)} has one element, and the data does not tell the size of ${open.map((dim) => dim || '?').join(', ')}`,
      { hint: 'give the constant with all its dims' },
    );
  }
  const { dataType, data } = constant;
  const size = elementCount(dims as number[]);
  if (!ArrayBuffer.isView(data)) {
    return { dataType, dims: dims as number[], data: new Array<string>(size).fill(data[0]!) };
  }
  const Typed = data.constructor as new (length: number) => Float32Array;
  return { dataType, dims: dims as number[], data: new Typed(size).fill(data[0] as number) };
}

/** Samples in memory, as what stacks them into batches takes. */
function asDataset(list: readonly Sample[]): Dataset {
  return {
    name: 'samples',
    size: list.length,
    hasLabels: false,
    preprocessing: '',
    async *samples() {
      yield* list;
    },
    fingerprint: async () => '',
  };
}
