/**
 * The model that a student learns from: its outputs for the samples of a batch. Samples that are
 * not augmented are the same in every epoch, and are then asked for once. Trains nothing.
 */
import type { Batch } from '../data/batches.js';
import type { Engine, EngineSession, HostTensor } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { type Progress, silent } from '../progress.js';
import { simplify } from '../simplify/index.js';
import { type LossPlan, valueOfOutput } from './loss-plan.js';
import { openBatch } from './open-batch.js';

/** Most bytes of outputs that are kept. */
const keptBytes = 500e6;

export type Targets = Readonly<Record<string, HostTensor>>;

interface Row {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

export class Teacher {
  readonly #session: EngineSession;
  /** By input of the step: the output of the session. */
  readonly #outputs: ReadonlyMap<string, string>;
  /** By id of the sample, then by input of the step. */
  readonly #known = new Map<string, ReadonlyMap<string, Row>>();

  private constructor(session: EngineSession, outputs: ReadonlyMap<string, string>) {
    this.#session = session;
    this.#outputs = outputs;
  }

  static async open(
    model: Model,
    plan: LossPlan,
    {
      engine,
      batchSize,
      signal,
    }: { engine: Engine; batchSize: number; signal?: AbortSignal | undefined },
  ): Promise<Teacher> {
    const { model: simple } = await simplify(model, {}, { engine, signal });
    const open = cloneModel(await openBatch(simple, engine, batchSize));
    const outputs = new Map<string, string>();
    const wanted = plan.teacher.map(({ input, output }) => {
      const value = valueOfOutput(open, output);
      outputs.set(input, value.name);
      return value;
    });
    open.graph.outputs.splice(0, open.graph.outputs.length, ...wanted);
    const session = await engine.createSession(await modelSource(open), { signal });
    return new Teacher(session, outputs);
  }

  /**
   * Asks for all samples in the order of the data, whatever the order in which they will be seen:
   * kernels add differently in different batches, and a resumed run must get the same bits.
   */
  async learn(
    batches: AsyncIterable<Batch>,
    samples: number,
    {
      signal,
      progress = silent,
    }: { signal?: AbortSignal | undefined; progress?: Progress | undefined },
  ): Promise<void> {
    const task = progress.task('teacher', samples);
    let isComplete = false;
    try {
      for await (const batch of batches) {
        throwIfAborted(signal);
        const targets = await this.#ask(batch);
        const rows = Object.values(targets).map(
          ({ data }) => data.length / (batch.ids.length || 1),
        );
        if (4 * samples * rows.reduce((sum, size) => sum + size, 0) > keptBytes) return;
        for (const [at, id] of batch.ids.entries()) this.#known.set(id, rowsAt(targets, at));
        task.update(this.#known.size);
      }
      isComplete = this.#known.size === samples;
    } finally {
      task.end();
      // Too much to keep, or ids that do not tell samples apart.
      if (!isComplete) this.#known.clear();
    }
  }

  /** By input of the step. */
  async targetsOf(batch: Batch): Promise<Targets> {
    const rows = batch.ids.map((id) => this.#known.get(id));
    if (!rows.every((row) => row !== undefined)) return await this.#ask(batch);
    return Object.fromEntries(
      Array.from(this.#outputs.keys(), (input) => [
        input,
        joined(rows.map((row) => row.get(input)!)),
      ]),
    );
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  async #ask({ feeds }: Batch): Promise<Targets> {
    const outputs = await this.#session.run(feeds);
    const targets: Record<string, HostTensor> = {};
    for (const [input, output] of this.#outputs) {
      const { dims } = outputs[output]!;
      targets[input] = hostTensor('float', dims, float32Of(outputs[output]!));
    }
    return targets;
  }
}

/** What belongs to one sample, without the batch axis. */
function rowsAt(targets: Targets, at: number): Map<string, Row> {
  return new Map(
    Object.entries(targets).map(([input, { dims, data }]) => {
      const size = data.length / dims[0]!;
      const row = (data as Float32Array).slice(at * size, (at + 1) * size);
      return [input, { dims: dims.slice(1), data: row }];
    }),
  );
}

function joined(rows: readonly Row[]): HostTensor {
  const [{ dims, data }] = rows as [Row];
  const all = new Float32Array(rows.length * data.length);
  for (const [at, row] of rows.entries()) all.set(row.data, at * data.length);
  return hostTensor('float', [rows.length, ...dims], all);
}
