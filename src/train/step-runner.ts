/**
 * Runs a training step, or several steps in one call of the runtime: weights and the state of the
 * optimizer are then copied in and out once per call and not once per step. That wins where they
 * are large beside what is computed, and loses where they are small. Knows no data, no schedule.
 */
import type { Engine, EngineSession, HostTensor, SessionOptions } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { cloneModel } from '../graph/clone.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import { repeat } from './repeat.js';
import type { TrainingStep } from './step.js';

/** The inputs of one batch: samples and targets. */
export type BatchFeeds = Readonly<Record<string, HostTensor>>;

/**
 * How a step runs. `session.set_denormal_as_zero` is not among it: it holds for the threads of the
 * session's pool, but not for the calling thread, and results would depend on who takes which part.
 */
const stepSession: SessionOptions = Object.freeze({ optimization: 'all', memoryPattern: false });

/**
 * @example
 * const runner = await StepRunner.open(step, engine);
 * const losses = await runner.run([batch], [0.001]);
 * runner.state[step.results.get('fc.weight')]; // after the step
 * await runner.release();
 */
export class StepRunner {
  /** By input of the step; what the next step starts from. */
  state: Readonly<Record<string, HostTensor>>;
  /** Steps done. */
  steps = 0;
  readonly #step: TrainingStep;
  readonly #loop: StepLoop;
  readonly #session: EngineSession;

  private constructor(step: TrainingStep, loop: StepLoop, session: EngineSession) {
    this.#step = step;
    this.#loop = loop;
    this.#session = session;
    this.state = Object.fromEntries(step.state);
  }

  /** @param several whether `run` may be given more than one step */
  static async open(step: TrainingStep, engine: Engine, several = false): Promise<StepRunner> {
    const loop = several ? loopOf(step) : single(step);
    const session = await engine.createSession(await modelSource(loop.model), stepSession);
    return new StepRunner(step, loop, session);
  }

  /**
   * One step per learning rate; every step takes `accumulate` batches of the same shapes.
   * Returns the loss of each.
   */
  async run(batches: readonly BatchFeeds[], rates: readonly number[]): Promise<Float32Array> {
    const { accumulate, learningRate, step } = this.#step;
    const { isLoop, losses, next } = this.#loop;
    const lead = [...(isLoop ? [rates.length] : []), ...(accumulate > 1 ? [accumulate] : [])];
    const outputs = await this.#session.run(
      {
        ...stack(batches, lead),
        ...this.state,
        [learningRate]: hostTensor('float', isLoop ? [rates.length] : [], Float32Array.from(rates)),
        [step]: hostTensor('float', [], Float32Array.of(this.steps + 1)),
      },
      [losses, ...next.values()],
    );
    this.state = Object.fromEntries(
      Array.from(next, ([input, output]) => [input, outputs[output]!]),
    );
    this.steps += rates.length;
    return float32Of(outputs[losses]!);
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

interface StepLoop {
  readonly isLoop: boolean;
  readonly model: Model;
  /** Like those of a step, after the last one. */
  readonly next: ReadonlyMap<string, string>;
  /** One per step. */
  readonly losses: string;
}

function single({ model, next, loss }: TrainingStep): StepLoop {
  return { isLoop: false, model, next, losses: loss };
}

/** The step in a Loop. */
function loopOf(step: TrainingStep): StepLoop {
  const inner = cloneModel(step.model);
  const { graph } = inner;
  const number = graph.value(step.step);
  const names = [...step.state.keys()];
  const once = new Set([step.step, ...names]);
  const e = new Emitter(graph, { scope: 'steps' });
  const { model, carried, collected } = repeat(inner, {
    sliced: graph.inputs.filter(({ name, initializer }) => !initializer && !once.has(name)),
    carried: [
      ...names.map((name) => ({
        input: graph.value(name),
        output: graph.value(step.next.get(name)!),
      })),
      { input: number, output: e.add(number, 1) },
    ],
    collected: [graph.value(step.loss)],
    count: 'steps',
  });
  const [losses] = collected;
  const next = new Map(names.map((name, at) => [name, carried[at]!.name]));
  model.graph.outputs.push(losses!, ...carried.slice(0, names.length));
  return { isLoop: true, model, next, losses: losses!.name };
}

/** All batches behind one another, under these leading dims. */
function stack(batches: readonly BatchFeeds[], lead: readonly number[]): BatchFeeds {
  const stacked: Record<string, HostTensor> = {};
  for (const [name, { dataType, dims, data }] of Object.entries(batches[0]!)) {
    if (!ArrayBuffer.isView(data)) throw new TypeError(`"${name}" holds strings`);
    const all = new (data.constructor as Float32ArrayConstructor)(batches.length * data.length);
    for (const [at, batch] of batches.entries()) {
      all.set(batch[name]!.data as Float32Array, at * data.length);
    }
    stacked[name] = hostTensor(dataType, [...lead, ...dims], all);
  }
  return stacked;
}
