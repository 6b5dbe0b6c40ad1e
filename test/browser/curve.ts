/**
 * One training run, the same in Node and in a page: the digit classifier that comes with pare,
 * damaged, learns from the sound one. Every epoch is one step, so that the history is the loss of
 * each step; pictures are shifted anew in each.
 */
import {
  bytesSource,
  cloneModel,
  type Engine,
  finetune,
  loadModel,
  modelSource,
  openDataset,
  Tensor,
} from '../../src/index.js';
import { createRandom } from '../../src/random.js';

export const steps = 20;

export interface Assets {
  readonly model: Uint8Array;
  readonly data: Uint8Array;
}

/** The loss of each step. */
export async function trainingCurve(engine: Engine, assets: Assets): Promise<number[]> {
  const teacher = await loadModel(bytesSource(assets.model));
  const session = await engine.createSession(await modelSource(teacher));
  const { inputs: ports } = session;
  await session.release();
  const dataset = await openDataset(bytesSource(assets.data, 'digits.npz'), {
    ports,
    preprocess: 'unit',
  });
  const student = cloneModel(teacher);
  const random = createRandom(1);
  for (const value of student.graph.initializers) {
    const { dims, dataType } = value.initializer!;
    if (dataType !== 'float' || dims.length < 2) continue;
    const weights = await value.initializer!.floats();
    value.initializer = Tensor.of(
      'float',
      dims,
      weights.map((weight) => (random.next() < 0.5 ? 0 : weight)),
    );
  }
  const { history } = await finetune({
    student,
    teacher,
    dataset,
    train: Uint32Array.from({ length: 64 }, (_, at) => at),
    validate: new Uint32Array(),
    engine,
    seed: 5,
    options: { epochs: steps, batchSize: 64, shift: 1, learningRate: 0.02 },
  });
  return history.map(({ loss }) => loss);
}
