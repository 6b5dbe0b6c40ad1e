/**
 * What a layer reads: the nearest layers and inputs above it, how strong each of their units is, and
 * which channel that arrives is which unit. The coupling analysis tells it through flattening,
 * concatenation and residual sums.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { roleOfInput } from '../ops/input-roles.js';
import type { Coupling, Member } from '../prune/family.js';
import type { Layer } from './layers.js';

/** The layer that stands for an input of the model. */
export const inputLayer = 'input';

/** A layer, or the input, from which another one reads. */
export interface Source {
  readonly id: string;
  readonly units: number;
  /** Root mean square of each unit. */
  readonly rms: ArrayLike<number>;
}

/** Root mean square by layer, and of the channels of each input of the model by its name. */
export interface RootMeanSquares {
  readonly layers: ReadonlyMap<Layer, ArrayLike<number>>;
  readonly inputs: ReadonlyMap<string, ArrayLike<number>>;
}

export async function sourceOf(
  source: Layer | Input,
  wide: number,
  rms: RootMeanSquares,
): Promise<Source> {
  if (!(source instanceof Input))
    return { id: source.id, units: source.units, rms: rms.layers.get(source)! };
  const { value, table } = source;
  const own = table ? await columnRms(table) : rms.inputs.get(value.name);
  return { id: inputLayer, units: wide, rms: own ?? new Float64Array(wide).fill(1) };
}

/** An input of the model that a layer reads, or the rows of a table that it chooses. */
export class Input {
  readonly value: Value;
  readonly table: Value | undefined;
  constructor(value: Value, table?: Value) {
    this.value = value;
    this.table = table;
  }
}

/** The table of embeddings that a node looks rows up in; its units are along its last axis. */
function tableOf(node: Node | undefined): Value | undefined {
  // Tables that are added by position have no ids beside them.
  const isId = (input: Value | undefined) => input?.dataType?.startsWith('int') && !input.constant;
  if (!node?.inputs.some(isId)) return undefined;
  return node.inputs.find(
    (input, at) => input?.constant && roleOfInput(node, at, input.constant) === 'embedding',
  );
}

/** Over all rows alike: how often each occurs is not known. */
async function columnRms({ constant }: Value): Promise<Float64Array> {
  const width = constant!.dims.at(-1)!;
  const sums = new Float64Array(width);
  const numbers = await constant!.floats();
  numbers.forEach((x, at) => {
    sums[at % width]! += x * x;
  });
  return sums.map((sum) => Math.sqrt((sum * width) / numbers.length));
}

/** The nearest layers and inputs above a value. */
export function layersAbove(value: Value, byValue: ReadonlyMap<Value, Layer>): (Layer | Input)[] {
  const found = new Set<Layer | Input>();
  const seen = new Set<Value>();
  const queue = [value];
  for (let at = queue.pop(); at; at = queue.pop()) {
    if (seen.has(at) || at.constant) continue;
    seen.add(at);
    const layer = byValue.get(at);
    const table = tableOf(at.producer);
    if (layer) found.add(layer);
    else if (table) found.add(new Input(at, table));
    else if (at.isInput) found.add(new Input(at));
    else for (const input of at.producer?.inputs ?? []) if (input) queue.push(input);
  }
  return [...found];
}

/** Which unit of the source each channel that is read belongs to; -1 for those of other sources. */
export function channelUnits(
  source: Layer | Input,
  read: Value,
  { node, value }: { readonly node: Node; readonly value: Value },
  wide: number,
  { families }: Coupling,
): { readonly unitOf: Int32Array } | { readonly reason: string } {
  const identity = () => Int32Array.from({ length: wide }, (_, channel) => channel);
  if (source instanceof Input || source.value === read) {
    const isWhole = source instanceof Input ? source.value === read : source.unitOf.length === wide;
    if (isWhole) return { unitOf: source instanceof Input ? identity() : source.unitOf };
  }
  if (source instanceof Input && !source.table)
    return { reason: 'between the two is more than pare follows' };
  const reads = (member: Member) =>
    member.value === value && member.node === node && member.side === 'in';
  for (const family of families) {
    const member = family.members.find(reads);
    if (!member || member.unitOf.length !== wide) continue;
    const carrier = family.carriers.find(
      (each) =>
        each.value === source.value && (source instanceof Input || each.axis === source.axis),
    );
    if (!carrier) continue;
    const own = new Map<number, number>();
    carrier.unitOf.forEach((shared, index) => {
      const unit = source instanceof Input ? index : source.unitOf[index]!;
      if (shared >= 0 && !own.has(shared)) own.set(shared, unit);
    });
    return { unitOf: member.unitOf.map((shared) => own.get(shared) ?? -1) };
  }
  return { reason: 'what it reads cannot be told apart by these units' };
}
