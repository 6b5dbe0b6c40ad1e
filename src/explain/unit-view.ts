/**
 * The value of a layer laid out by unit, as nodes appended to a graph: whatever its rank and the
 * order of its indices, statistics read [batch, units, width, places].
 */
import type { Emitter } from '../graph/emitter.js';
import type { Value } from '../graph/value.js';
import type { Layer } from './layers.js';

export type UnitAxes = Pick<Layer, 'axis' | 'rank' | 'unitOf' | 'units' | 'unitWidth'>;

/** [batch, units, width, places]: width is 1 for channels, that of a head for heads. */
export function byUnit(e: Emitter, value: Value, layer: UnitAxes): Value {
  const { axis, rank, unitOf, units, unitWidth } = layer;
  const axes = Array.from({ length: rank }, (_, at) => at);
  const moved = e.transpose(value, [0, axis, ...axes.filter((at) => at !== 0 && at !== axis)]);
  const flat = e.reshape(moved, [0, unitOf.length, -1]);
  const order = unitOrder(unitOf);
  const isInOrder = order.length === unitOf.length && order.every((index, at) => index === at);
  const ordered = isInOrder ? flat : e.op('Gather', [flat, e.ints(...order)], { axis: 1 });
  return e.reshape(ordered, [0, units, unitWidth, -1]);
}

/** One number per unit and place, [batch, units, places]: the output, or the norm of several. */
export function signalOf(e: Emitter, view: Value, { unitWidth }: UnitAxes): Value {
  return unitWidth === 1 ? e.squeeze(view, [2]) : e.reduce('ReduceL2', view, [2], false);
}

/** Indices along the axis, unit by unit; those without a unit are left out. */
function unitOrder(unitOf: Int32Array): number[] {
  return [...unitOf.keys()]
    .filter((index) => unitOf[index]! >= 0)
    .sort((a, b) => unitOf[a]! - unitOf[b]! || a - b);
}
