/**
 * Shows what the weights of layers are multiplied with to sums over it: windows of layer inputs at
 * seeded positions, sample after sample. Holds one run's inputs at a time; what is summed is the
 * business of the sums (input-moments.ts).
 */
import type { MatMul } from '../engine/matmul.js';
import { createMatMul } from '../engine/matmul.js';
import { modelSource } from '../engine/model-source.js';
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { type PassContext, requireEngine } from '../pass.js';
import { createRandom } from '../random.js';
import type { PatchLayout } from './input-patches.js';

export interface WindowRequest {
  /** Name of the layer's input value. */
  readonly name: string;
  readonly layout: PatchLayout;
  /** Most windows of one sample; default an eighth of the features, at least 16. */
  readonly windows?: number | undefined;
}

/** Takes windows in blocks: `nextSlot` is written to, and `flush` adds what is there. */
export interface WindowSum {
  readonly isFull: boolean;
  nextSlot(): { readonly rows: Float32Array; readonly offset: number };
  flush(blas: MatMul): Promise<void>;
}

/** One sum per request, in order. Throws `invalid-data` where there is no sample. */
export async function sumWindows(
  model: Model,
  requests: readonly WindowRequest[],
  sums: readonly WindowSum[],
  context: PassContext,
  pass: string,
): Promise<void> {
  const engine = requireEngine(context, pass);
  if (!context.samples) {
    throw new PareError('usage', `${pass}: needs samples to see the inputs of layers`, {
      hint: 'give data with --data PATH; labels are not needed',
    });
  }
  const probe = cloneModel(model);
  const names = [...new Set(requests.map(({ name }) => name))];
  const added = names.map((name) => probe.graph.value(name)).filter((value) => !value.isInput);
  for (const value of added) if (!value.isOutput) probe.graph.outputs.push(value);
  const fetches = added.map(({ name }) => name);
  const random = createRandom(context.seed);
  const blas = createMatMul(engine);
  const session = await engine.createSession(await modelSource(probe), { optimization: 'basic' });
  const task = context.progress.task(`${pass}: inputs of layers`);
  let count = 0;
  try {
    for await (const feeds of context.samples()) {
      throwIfAborted(context.signal);
      const results = await session.run(feeds, fetches.length > 0 ? fetches : undefined);
      for (const [at, { name, layout, windows }] of requests.entries()) {
        const input = results[name] ?? feeds[name]!;
        const positions = layout.positions(input);
        // A covariance of n features needs some multiple of n windows; a hundred samples give 12 n.
        const wanted = Math.min(positions, windows ?? Math.max(16, Math.ceil(layout.features / 8)));
        for (let i = 0; i < wanted; i++) {
          const position = wanted === positions ? i : random.int(positions);
          const slot = sums[at]!.nextSlot();
          layout.read(input, position, slot.rows, slot.offset);
          if (sums[at]!.isFull) await sums[at]!.flush(blas);
        }
      }
      task.update(++count);
    }
    if (count === 0) throw new PareError('invalid-data', `${pass}: there is no sample`);
    for (const sum of sums) await sum.flush(blas);
  } finally {
    task.end();
    await session.release();
    await blas.release();
  }
}
