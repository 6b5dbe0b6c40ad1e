/**
 * Scores along the path from a baseline of zeros to each sample: conductance and internal influence
 * of each unit, as means over samples of the magnitude of the sum over its places. One run per
 * sample, of 2 n + 1 rows, for the logit of its target class. Source of the formulas: path.ts.
 */
import { float32Of } from '../engine/host-tensor.js';
import { throwIfAborted } from '../errors.js';
import type { Emitter } from '../graph/emitter.js';
import type { Value } from '../graph/value.js';
import { addMagnitudes, scale, type UnitScores } from './gradient-scores.js';
import { type Backward, floatInputs, openGradients } from './gradients.js';
import type { Layer } from './layers.js';
import { bordersAndMiddles, conductanceOf, influenceOf, pathRows } from './path.js';
import { type Rows, rowOf, type Subject } from './subject.js';
import { classSeed } from './target.js';
import { byUnit } from './unit-view.js';

const names = ['conductance', 'internal-influence'] as const;
type PathScore = (typeof names)[number];

/**
 * @param targets the class of each sample of each batch
 * @param steps cells of the path
 */
export async function pathScores(
  { model, target, context, layers }: Subject,
  backward: Backward,
  data: readonly Rows[],
  targets: readonly Int32Array[],
  steps: number,
): Promise<Readonly<Record<PathScore, UnitScores>>> {
  const outputs = new Map<Layer, readonly string[]>();
  const gradients = await openGradients(backward, (e) =>
    layers.flatMap((layer): Value[] => {
      const name = backward.gradients.get(layer.value.name);
      if (!name) return [];
      const gradient = e.graph.value(name);
      const conductance = conductanceOf(e, e.graph.value(layer.value.name), gradient);
      const both = [conductance, influenceOf(e, gradient)].map((each) => unitSums(e, each, layer));
      outputs.set(
        layer,
        both.map(({ name: output }) => output),
      );
      return both;
    }),
  );
  const floats = new Set(floatInputs(model).map(({ name }) => name));
  const places = bordersAndMiddles(steps);
  const sums = names.map(
    () => new Map([...outputs.keys()].map((layer) => [layer, new Float64Array(layer.units)])),
  );
  const total = data.reduce((sum, { count }) => sum + count, 0);
  const task = context.progress.task('explain: conductance', total);
  let done = 0;
  try {
    for (const [at, rows] of data.entries()) {
      for (let row = 0; row < rows.count; row++) {
        throwIfAborted(context.signal);
        const feeds = pathRows(rowOf(rows.feeds, row), {}, floats, places);
        const seed = classSeed(target, targets[at]![row]!, places.length);
        const results = await gradients.run(feeds, seed, [places.length, ...target.dims]);
        for (const [layer, own] of outputs) {
          own.forEach((output, score) => {
            addMagnitudes(sums[score]!.get(layer)!, float32Of(results[output]!), 1);
          });
        }
        task.update(++done);
      }
    }
  } finally {
    task.end();
    await gradients.release();
  }
  for (const scores of sums) for (const each of scores.values()) scale(each, 1 / total);
  return { conductance: sums[0]!, 'internal-influence': sums[1]! };
}

function unitSums(e: Emitter, value: Value, layer: Layer): Value {
  return e.reduce('ReduceSum', byUnit(e, value, layer), [2, 3], false);
}
