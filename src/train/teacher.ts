/**
 * The model that a student learns from: opened for batches, run beside the student, its outputs
 * and, where asked, its hidden values handed out as targets. Trains nothing.
 */
import type { Engine, EngineSession, Feeds, HostTensor } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { inferShapes } from '../engine/shapes.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { simplify } from '../simplify/index.js';
import { type TeacherTarget, valueOfTarget } from './loss-plan.js';
import { openBatch } from './open-batch.js';

/** Simplified as the student is, with an open batch and the types of its values. */
export async function prepareTeacher(
  teacher: Model,
  engine: Engine,
  batchSize: number,
  signal?: AbortSignal,
): Promise<Model> {
  const { model: simple } = await simplify(teacher, {}, { engine, signal });
  const open = cloneModel(await openBatch(simple, engine, batchSize));
  await inferShapes(engine, open);
  return open;
}

export class Teacher {
  readonly #session: EngineSession;
  /** By input of the step: the output of the session. */
  readonly #outputs: ReadonlyMap<string, string>;

  /** @param model see prepareTeacher; it is not changed */
  static async open(
    model: Model,
    targets: readonly TeacherTarget[],
    engine: Engine,
    signal?: AbortSignal,
  ): Promise<Teacher> {
    const copy = cloneModel(model);
    const values = targets.map((target) => valueOfTarget(copy, target));
    // One value may serve two losses.
    copy.graph.outputs.splice(0, copy.graph.outputs.length, ...new Set(values));
    const session = await engine.createSession(await modelSource(copy), { signal });
    return new Teacher(session, new Map(targets.map(({ input }, at) => [input, values[at]!.name])));
  }

  private constructor(session: EngineSession, outputs: ReadonlyMap<string, string>) {
    this.#session = session;
    this.#outputs = outputs;
  }

  /** By input of the step. */
  async targets(feeds: Feeds): Promise<Record<string, HostTensor>> {
    const outputs = await this.#session.run(feeds);
    const targets: Record<string, HostTensor> = {};
    for (const [input, output] of this.#outputs) {
      const { dims } = outputs[output]!;
      targets[input] = hostTensor('float', dims, float32Of(outputs[output]!));
    }
    return targets;
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}
