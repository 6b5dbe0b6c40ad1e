/**
 * The weights of every layer beside those of the same layer in another model: shape, type, zeros,
 * error, distribution, and the grid that they were rounded to. Changes no model.
 */
import { throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { type FloatConstant, transpose } from '../ops/constant-views.js';
import { storedGrids } from '../ops/integer-grids.js';
import { weightInputs } from '../ops/weights.js';
import { compare } from './diff-weights.js';
import { matchNodes } from './match-nodes.js';
import { storedWeight } from './stored-weight.js';
import { type ValueGrid, valueGrid } from './value-grids.js';

/** Counts in bins of equal width between two edges. Plain JSON. */
export interface Bins {
  readonly low: number;
  readonly high: number;
  readonly counts: readonly number[];
}

/** Plain JSON. */
export interface LayerWeight {
  readonly layer: string;
  readonly op: string;
  readonly weight: string;
  readonly dims: readonly number[];
  readonly type: string;
  readonly bytes: number;
  /** Share of zeros. */
  readonly zeros: number;
  readonly histogram: Bins | null;
  /** Null where the other model has no such layer, or stores its weight in an unknown form. */
  readonly other: {
    readonly dims: readonly number[];
    readonly type: string;
    readonly bytes: number;
    readonly zeros: number;
    /** In the bins of `histogram`. */
    readonly histogram: Bins | null;
    /** In dB; null for other dims, and when all are equal. */
    readonly snrDb: number | null;
    readonly exact: boolean;
    readonly grid: ValueGrid | null;
  } | null;
}

export interface LayerWeightOptions {
  /** Layers that get histograms, those with most elements. Default 64. */
  readonly histograms?: number | undefined;
  /** Default 48. */
  readonly bins?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One row per weight of a layer of `a`, in order of execution. Reads all of them.
 *
 * @param b the model that `a` became; undefined to look at `a` alone
 */
export async function layerWeights(
  a: Model,
  b: Model | undefined,
  options: LayerWeightOptions = {},
): Promise<LayerWeight[]> {
  const { histograms = 64, bins = 48, signal } = options;
  const partners = new Map(
    b ? (await matchNodes(a, b)).pairs.map((pair) => [pair.a, pair.b] as const) : [],
  );
  const found = await weightsOf(a);
  const largest = [...found]
    .sort((x, y) => sizeOf(y.weight) - sizeOf(x.weight))
    .slice(0, histograms);
  const drawn = new Set(largest);
  const rows: LayerWeight[] = [];
  for (const entry of found) {
    throwIfAborted(signal);
    const { node, index, value, weight } = entry;
    const partner = partners.get(node)?.inputs[index];
    const other = partner && (await storedWeight(partner));
    const numbers = await weight.read();
    const others = other && (await alike(other, weight.dims, numbers));
    const [low, high] = extremes(numbers, others);
    const count = (values: ArrayLike<number>) =>
      drawn.has(entry) && low < high ? binned(values, low, high, bins) : null;
    const error = others && others.length === numbers.length ? compare(numbers, others) : undefined;
    rows.push({
      layer: node.label,
      op: node.op,
      weight: value.name,
      dims: weight.dims,
      ...storedAs(value),
      zeros: zerosOf(numbers),
      histogram: count(numbers),
      other:
        other && others
          ? {
              dims: other.dims,
              ...storedAs(partner),
              zeros: zerosOf(others),
              histogram: count(others),
              snrDb: error?.snrDb ?? null,
              exact: error?.different === 0,
              grid: (await gridOf(partner)) ?? null,
            }
          : null,
    });
  }
  return rows;
}

interface Found {
  readonly node: Node;
  readonly index: number;
  readonly value: Value;
  readonly weight: FloatConstant;
}

async function weightsOf(model: Model): Promise<Found[]> {
  const found: Found[] = [];
  for (const node of model.allNodes()) {
    const inputs = Object.hasOwn(weightInputs, node.op) ? weightInputs[node.op]!(node) : [];
    for (const { index } of inputs) {
      const value = node.inputs[index];
      const weight = value && (await storedWeight(value));
      if (weight) found.push({ node, index, value, weight });
    }
  }
  return found;
}

const sizeOf = ({ dims }: FloatConstant) => dims.reduce((product, dim) => product * dim, 1);

/** The numbers of the other weight, turned round where a rewrite has stored them transposed. */
async function alike(
  other: FloatConstant,
  dims: readonly number[],
  numbers: ArrayLike<number>,
): Promise<ArrayLike<number>> {
  const values = await other.read();
  const turns = dims.length === 2 && dims[0] === other.dims[1] && dims[1] === other.dims[0];
  if (!turns) return values;
  const turned = transpose(values, other.dims, [1, 0]);
  const noise = (candidate: ArrayLike<number>) => compare(numbers, candidate).snrDb ?? 1e9;
  const isSquare = dims[0] === dims[1];
  return !isSquare || noise(turned) > noise(values) ? turned : values;
}

/** Type and bytes of what is in the file: the largest constant behind the value. */
function storedAs(value: Value): { type: string; bytes: number } {
  const tensor = value.initializer ?? value.constant;
  if (tensor) return { type: tensor.dataType, bytes: tensor.byteLength };
  const inner = (value.producer?.inputs ?? []).flatMap((input) => (input ? [storedAs(input)] : []));
  return inner.reduce((x, y) => (y.bytes > x.bytes ? y : x), { type: '', bytes: 0 });
}

async function gridOf(value: Value): Promise<ValueGrid | undefined> {
  const node = value.producer;
  if (!node) return undefined;
  const grid = Object.hasOwn(storedGrids, node.op) ? storedGrids[node.op]!(node) : undefined;
  if (grid) return valueGrid(grid);
  // Behind a Transpose or Reshape the numbers are the same.
  const input = node.inputs[0];
  return input ? gridOf(input) : undefined;
}

function zerosOf(values: ArrayLike<number>): number {
  let zeros = 0;
  for (let i = 0; i < values.length; i++) if (values[i] === 0) zeros++;
  return values.length > 0 ? zeros / values.length : 0;
}

function extremes(...lists: (ArrayLike<number> | undefined)[]): [low: number, high: number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const list of lists) {
    for (let i = 0; i < (list?.length ?? 0); i++) {
      const value = list![i]!;
      if (value < low && value > Number.NEGATIVE_INFINITY) low = value;
      if (value > high && value < Number.POSITIVE_INFINITY) high = value;
    }
  }
  return [low, high];
}

function binned(values: ArrayLike<number>, low: number, high: number, bins: number): Bins {
  const counts = new Array<number>(bins).fill(0);
  const perUnit = bins / (high - low);
  for (let i = 0; i < values.length; i++) {
    const bin = Math.floor((values[i]! - low) * perUnit);
    // False for NaN and infinity, which have no place between the edges.
    if (bin >= 0 && bin <= bins) counts[Math.min(bin, bins - 1)]!++;
  }
  return { low, high, counts };
}
