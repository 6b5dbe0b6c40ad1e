/**
 * How much a unit matters: what its absence would change. The lowest leaves first. Each criterion
 * scores all units of the model as it is at that moment; nothing is removed here.
 */
import type { Engine, Feeds } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError, throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import type { Branch } from './branches.js';
import { removeUnit } from './remove.js';
import { deviation } from './run-beside.js';

/** A unit by the names that hold in copies of the model. */
export type UnitPlace = readonly Pick<Branch, 'output' | 'streamIndex'>[];

export interface ScoreContext {
  readonly engine: Engine;
  readonly samples: () => AsyncIterable<Feeds>;
  /** The model before anything was removed. */
  readonly original: Model;
  readonly signal?: AbortSignal | undefined;
}

export interface DepthCriterion {
  readonly name: string;
  readonly summary: string;
  score(model: Model, units: readonly UnitPlace[], context: ScoreContext): Promise<number[]>;
}

/**
 * 1 - cos(x, y) of the stream before and behind the unit, one run for all units: block influence
 * (Men et al. 2024, "ShortGPT", arXiv 2403.03853). Values of rank 3, [batch, position, width], are
 * compared position by position, others as a whole per sample.
 */
export const influence = Object.freeze<DepthCriterion>({
  name: 'influence',
  summary: '1 - cosine of the stream before and behind; one run for all',
  async score(model, units, { engine, samples, signal }) {
    const probe = cloneModel(model);
    const { graph } = probe;
    const ends = units.map((unit) => {
      const first = graph.value(unit[0]!.output).producer!;
      return [first.input(unit[0]!.streamIndex), graph.value(unit.at(-1)!.output)] as const;
    });
    for (const value of ends.flat()) {
      if (!value.isOutput && !value.isInput) graph.outputs.push(value);
    }
    const names = [...new Set(ends.flat().filter((value) => !value.isInput))];
    const fetches = names.map(({ name }) => name);
    const session = await engine.createSession(await modelSource(probe));
    const sums = units.map(() => ({ cosine: 0, count: 0 }));
    try {
      for await (const feeds of samples()) {
        throwIfAborted(signal);
        const results = await session.run(feeds, fetches, { signal });
        for (const [at, pair] of ends.entries()) {
          const [x, y] = pair.map(({ name }) => results[name] ?? feeds[name]!);
          const width = x!.dims.length === 3 ? x!.dims[2]! : x!.data.length;
          addCosines(float32Of(x!), float32Of(y!), width, sums[at]!);
        }
      }
    } finally {
      await session.release();
    }
    return sums.map(({ cosine, count }) => {
      if (count === 0) throw new PareError('invalid-data', 'prune-depth: there is no sample');
      return 1 - cosine / count;
    });
  },
});

function addCosines(
  x: Float32Array,
  y: Float32Array,
  width: number,
  sums: { cosine: number; count: number },
): void {
  for (let from = 0; from < x.length; from += width) {
    let [xx, yy, xy] = [0, 0, 0];
    for (let i = from; i < from + width; i++) {
      xx += x[i]! ** 2;
      yy += y[i]! ** 2;
      xy += x[i]! * y[i]!;
    }
    // Two zeros are the same; a zero and something else have nothing in common.
    sums.cosine += xx === 0 && yy === 0 ? 1 : xy / (Math.sqrt(xx * yy) || 1);
    sums.count++;
  }
}

/**
 * What removing the unit does to the outputs: the energy of their change on samples, against the
 * original model. Needs no labels, and two runs per unit and sample.
 */
export const removal = Object.freeze<DepthCriterion>({
  name: 'removal',
  summary: 'measured change of the outputs without the unit; two runs for each',
  async score(model, units, { engine, samples, original, signal }) {
    const scores: number[] = [];
    for (const unit of units) {
      const without = cloneModel(model);
      const refused = removeUnit(without, unit);
      scores.push(
        refused
          ? Number.POSITIVE_INFINITY
          : (await deviation(engine, original, without, samples(), signal)).energy,
      );
    }
    return scores;
  },
});

export const depthCriteria: readonly DepthCriterion[] = Object.freeze([influence, removal]);
