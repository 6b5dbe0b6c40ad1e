/**
 * The connections of a subject as an explanation tells them: blocks, and paths to some outputs.
 */
import { float32Of } from '../engine/host-tensor.js';
import { blocksOf, readConnections } from './connections.js';
import type { Connections } from './explanation.js';
import { floatInputs } from './gradients.js';
import type { Layer } from './layers.js';
import type { Observation } from './observe.js';
import { strongestPaths } from './strongest-paths.js';
import type { Rows, Subject } from './subject.js';

/** Single connections shown per block, paths per output, and outputs that are followed by default. */
const mostConnections = 5;
const mostPaths = 3;
const mostOutputs = 20;

export async function explainConnections(
  { coupling, layers, output, model, target }: Subject,
  data: readonly Rows[],
  observation: Observation,
  outputs: readonly number[] | undefined,
  leaveOut: (what: string, reason: string) => void,
): Promise<Connections> {
  const rms = new Map(
    layers.map((layer): [Layer, Float64Array] => {
      const { mean, variance } = observation.layers.get(layer)!;
      return [layer, mean.map((own, unit) => Math.sqrt(variance[unit]! + own ** 2))];
    }),
  );
  const names = floatInputs(model).map(({ name }) => name);
  const inputs = new Map(names.map((name) => [name, channelRms(data, name)]));
  const all = output ? [...layers, output] : layers;
  const found = await readConnections(coupling, all, { layers: rms, inputs });
  for (const { what, reason } of found.skipped) leaveOut(`connections ${what}`, reason);
  if (!output) leaveOut('paths', 'no layer has the classes as its units');
  const wanted = outputs ?? defaultOutputs(target.classes, observation);
  return {
    blocks: blocksOf(found, mostConnections),
    paths: output ? strongestPaths(found.readers, output.id, wanted, mostPaths) : [],
  };
}

/** All of a few classes, or those that occur most. */
function defaultOutputs(classes: number, { targets }: Observation): number[] {
  if (classes <= mostOutputs) return Array.from({ length: classes }, (_, class_) => class_);
  const counts = new Map<number, number>();
  for (const target of targets.flatMap((each) => [...each]))
    if (target >= 0) counts.set(target, (counts.get(target) ?? 0) + 1);
  return [...counts]
    .sort(([a, m], [b, n]) => n - m || a - b)
    .slice(0, mostOutputs)
    .map(([class_]) => class_);
}

/** Of the axis behind the batch, over the first rows. */
function channelRms(data: readonly Rows[], name: string): Float64Array {
  const tensor = data[0]!.feeds[name]!;
  const numbers = float32Of(tensor);
  const channels = tensor.dims[1] ?? 1;
  const inner = tensor.dims.slice(2).reduce((size, dim) => size * dim, 1);
  const sums = new Float64Array(channels);
  numbers.forEach((x, at) => {
    sums[Math.floor(at / inner) % channels]! += x * x;
  });
  return sums.map((sum) => Math.sqrt((sum * channels) / numbers.length));
}
