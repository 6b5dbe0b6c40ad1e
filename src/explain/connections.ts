/**
 * How layers hang together: which layers a layer reads, through which weights, and what each of
 * their units has in what it reads. A connection is as strong as its weights times the root mean
 * square of what comes through it; its share is that of all that the unit reads. Biases are no
 * connection. What stands above a layer is found in connection-sources.ts.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import type { Coupling } from '../prune/family.js';
import { weightForms } from '../prune/mask/weight-forms.js';
import {
  channelUnits,
  Input,
  inputLayer,
  layersAbove,
  type RootMeanSquares,
  type Source,
  sourceOf,
} from './connection-sources.js';
import type { BlockConnection } from './explanation.js';
import type { Layer } from './layers.js';

/** One layer that reads: shares of its sources, by target unit and source unit. */
export interface Reader {
  readonly id: string;
  readonly units: number;
  readonly sources: readonly {
    readonly source: Source;
    /** Frobenius norm of the weights between. */
    readonly norm: number;
    /** Units by units of the source; every row of all sources together is 1. */
    readonly shares: Float64Array;
  }[];
}

export interface ReadConnections {
  /** In the order of the model. */
  readonly readers: readonly Reader[];
  readonly skipped: readonly { readonly what: string; readonly reason: string }[];
}

export async function readConnections(
  coupling: Coupling,
  layers: readonly Layer[],
  rms: RootMeanSquares,
): Promise<ReadConnections> {
  const skipped: { what: string; reason: string }[] = [];
  const byValue = new Map(layers.map((layer) => [layer.value, layer]));
  const readers: Reader[] = [];
  for (const layer of layers) {
    const places = makersOf(layer, coupling);
    const sources: WeightedSource[] = [];
    const unknown = new Map<string, string>();
    for (const place of places) {
      const found = await sourcesOf(place, layer, coupling, byValue, rms);
      sources.push(...found.sources);
      for (const { from, reason } of found.unknown) unknown.set(from, reason);
    }
    if (unknown.size > 0 || sources.length === 0) {
      const from = [...unknown.keys()].filter((each) => each !== '').join(', ');
      const [reason] = unknown.values();
      const what = from === '' ? `to ${layer.id}` : `from ${from} to ${layer.id}`;
      skipped.push({ what, reason: reason ?? 'no weight makes it' });
    }
    if (sources.length === 0) continue;
    readers.push({ id: layer.id, units: layer.units, sources: toShares(layer.units, sources) });
  }
  return { readers, skipped };
}

/** As the explanation tells it: blocks with their strongest connections. */
export function blocksOf({ readers }: ReadConnections, most: number): BlockConnection[] {
  return readers.flatMap(({ id, units, sources }) =>
    sources.map(({ source, norm, shares }) => {
      const order = [...shares.keys()].sort((a, b) => shares[b]! - shares[a]!).slice(0, most);
      return {
        from: source.id,
        to: id,
        norm,
        share: shares.reduce((a, b) => a + b, 0) / units,
        strongest: order
          .filter((at) => shares[at]! > 0)
          .map((at) => ({
            from: at % source.units,
            to: Math.floor(at / source.units),
            share: shares[at]!,
          })),
      };
    }),
  );
}

/** A weight that makes units of a layer: unitOf is by output channel. */
interface Maker {
  readonly node: Node;
  readonly value: Value;
  readonly unitOf: Int32Array;
}

function makersOf(layer: Layer, { families }: Coupling): Maker[] {
  if (layer.kind !== 'heads')
    return layer.weights.map(({ value, unitOf }) => ({ node: layer.node, value, unitOf }));
  const family = families.find(({ id }) => id === layer.id);
  return (family?.members ?? []).filter(({ side, node }) => side === 'out' && weightForms[node.op]);
}

interface WeightedSource {
  readonly source: Source;
  readonly weights: Float64Array;
}

interface FoundSources {
  readonly sources: readonly WeightedSource[];
  /** What it reads in another way than channel by channel, such as queries and keys. */
  readonly unknown: readonly { readonly from: string; readonly reason: string }[];
}

const nothing = (reason: string): FoundSources => ({
  sources: [],
  unknown: [{ from: '', reason }],
});

async function sourcesOf(
  { node, value, unitOf }: Maker,
  layer: Layer,
  coupling: Coupling,
  byValue: ReadonlyMap<Value, Layer>,
  rms: RootMeanSquares,
): Promise<FoundSources> {
  const index = node.inputs.indexOf(value);
  const place = weightForms[node.op]?.find((each) => each.index === index);
  const tensor = value.constant!;
  const form = place?.form(node, tensor.dims);
  if (!form || 'reason' in form) return nothing(form?.reason ?? 'its weight is no matrix');
  if ('reason' in form.inputs) return nothing(form.inputs.reason);
  const read = node.inputs[form.inputs.index]!;
  const above = layersAbove(read, byValue);
  const numbers = await tensor.floats();
  const wide = form.channels * form.groups;
  const perOutput = form.rows / unitOf.length;
  const squares = new Float64Array(layer.units * wide);
  for (let row = 0; row < form.rows; row++) {
    const unit = unitOf[Math.floor(row / perOutput)]!;
    if (unit < 0) continue;
    const group = Math.floor(row / (form.rows / form.groups));
    for (let feature = 0; feature < form.features; feature++) {
      const channel = group * form.channels + (feature % form.channels);
      squares[unit * wide + channel]! += numbers[form.at(row, feature)]! ** 2;
    }
  }
  const sources: WeightedSource[] = [];
  const unknown: { from: string; reason: string }[] = [];
  for (const each of above) {
    const units = channelUnits(each, read, { node, value }, wide, coupling);
    if ('reason' in units) {
      unknown.push({ from: each instanceof Input ? inputLayer : each.id, reason: units.reason });
      continue;
    }
    const source = await sourceOf(each, wide, rms);
    const weights = new Float64Array(layer.units * source.units);
    for (let unit = 0; unit < layer.units; unit++) {
      for (let channel = 0; channel < wide; channel++) {
        const from = units.unitOf[channel]!;
        if (from >= 0) weights[unit * source.units + from]! += squares[unit * wide + channel]!;
      }
    }
    sources.push({ source, weights });
  }
  if (above.length === 0) return nothing('nothing that is explained lies above it');
  return { sources, unknown };
}

/** Squared weights to shares: root, times root mean square, over the sum of the row. */
function toShares(
  units: number,
  sources: readonly { source: Source; weights: Float64Array }[],
): Reader['sources'] {
  const merged = new Map<string, { source: Source; weights: Float64Array }>();
  for (const { source, weights } of sources) {
    const known = merged.get(source.id);
    if (!known) merged.set(source.id, { source, weights });
    else
      weights.forEach((weight, at) => {
        known.weights[at]! += weight;
      });
  }
  const list = [...merged.values()].map(({ source, weights }) => ({
    source,
    norm: Math.sqrt(weights.reduce((a, b) => a + b, 0)),
    shares: weights.map((square, at) => Math.sqrt(square) * source.rms[at % source.units]!),
  }));
  for (let unit = 0; unit < units; unit++) {
    let total = 0;
    for (const { source, shares } of list)
      for (let i = 0; i < source.units; i++) total += shares[unit * source.units + i]!;
    if (total === 0) continue;
    for (const { source, shares } of list)
      for (let i = 0; i < source.units; i++) shares[unit * source.units + i]! /= total;
  }
  return list;
}
