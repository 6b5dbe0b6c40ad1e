/**
 * MACs, parameters and bytes of a model after a cut, without making it: the dims of every value
 * that carries units are taken down and the nodes around it counted again. Exact as long as the
 * cost table knows the operators; those that it does not know count nothing before and after.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { mainUse, sizeOf } from '../../measure/size.js';
import { byteLengthOf, elementCount } from '../../onnx/data-type.js';
import { type ConcreteType, macsOf, type TypeLookup } from '../../ops/cost.js';
import { parameterRoles } from '../../ops/input-roles.js';
import type { Coupling, Cut, Family } from '../family.js';

export interface Cost {
  readonly macs: number;
  readonly parameters: number;
  /** Of the file; tensor content exactly, the graph around it as it was. */
  readonly bytes: number;
}

export interface CostModel {
  readonly full: Cost;
  of(cut: Cut): Cost;
  /** MACs that each unit saves when it is the only one that leaves. */
  macsPerUnit(family: Family): Float64Array;
}

/** One axis of a value, and how many of its indices leave with each unit of a family. */
interface Slot {
  readonly value: Value;
  readonly axis: number;
  readonly perUnit: Int32Array;
}

/** @param types of every value of `coupling.model` in one run */
export async function costModel(
  { model, families }: Coupling,
  types: TypeLookup,
): Promise<CostModel> {
  const slots = new Map(families.map((family) => [family.id, slotsOf(family)]));
  const touched = new Set([...slots.values()].flatMap((own) => own.map(({ value }) => value)));
  const nodes = new Set<Node>();
  const constants: { value: Value; parameters: boolean }[] = [];
  for (const value of touched) {
    if (value.producer) nodes.add(value.producer);
    for (const user of value.users) nodes.add(user);
    const tensor = value.constant;
    if (!tensor) continue;
    constants.push({ value, parameters: parameterRoles.has(mainUse(value, tensor).role) });
  }
  const { fileBytes, parameters } = await sizeOf(model, { gzip: null });
  const all = [...model.graph.allNodes()];
  const macs = all.reduce((sum, node) => sum + (macsOf(node, types) ?? 0), 0);
  const full: Cost = { macs, parameters, bytes: fileBytes };

  const savedBy = (removed: ReadonlyMap<Value, readonly number[]>, among: Iterable<Node>) => {
    const after: TypeLookup = (value) => lessIndices(types(value), removed.get(value));
    let saved = 0;
    for (const node of among) saved += (macsOf(node, types) ?? 0) - (macsOf(node, after) ?? 0);
    return saved;
  };
  return {
    full,
    of(cut) {
      const removed = removedBy(slots, cut);
      let [fewer, bytes] = [0, 0];
      for (const { value, parameters } of constants) {
        const gone = removed.get(value);
        if (!gone) continue;
        const { dims, dataType } = value.constant!;
        const before = elementCount(dims);
        const after = elementCount(dims.map((dim, axis) => dim - (gone[axis] ?? 0)));
        if (parameters) fewer += before - after;
        bytes += byteLengthOf(dataType, before) - byteLengthOf(dataType, after);
      }
      return {
        macs: full.macs - savedBy(removed, nodes),
        parameters: full.parameters - fewer,
        bytes: full.bytes - bytes,
      };
    },
    macsPerUnit(family) {
      const own = slots.get(family.id)!;
      const around = new Set<Node>();
      for (const { value } of own) {
        if (value.producer) around.add(value.producer);
        for (const user of value.users) around.add(user);
      }
      // Units of the same size save the same.
      const known = new Map<string, number>();
      return Float64Array.from({ length: family.units }, (_, unit) => {
        const key = own.map(({ perUnit }) => perUnit[unit]).join();
        const found = known.get(key);
        if (found !== undefined) return found;
        const one = removedBy(new Map([[family.id, own]]), new Map([[family.id, new Set([unit])]]));
        const saved = savedBy(one, around);
        known.set(key, saved);
        return saved;
      });
    },
  };
}

/** Every axis that units of the family lie along, once, whoever uses the value. */
function slotsOf(family: Family): Slot[] {
  const slots: Slot[] = [];
  for (const { value, axis, unitOf } of [...family.members, ...family.carriers]) {
    if (slots.some((slot) => slot.value === value && slot.axis === axis)) continue;
    const perUnit = new Int32Array(family.units);
    for (const unit of unitOf) if (unit >= 0) perUnit[unit]!++;
    slots.push({ value, axis, perUnit });
  }
  return slots;
}

/** Indices that leave, by value and axis. Several families may lie along one axis. */
function removedBy(
  slots: ReadonlyMap<string, readonly Slot[]>,
  cut: Cut,
): Map<Value, readonly number[]> {
  const removed = new Map<Value, number[]>();
  for (const [id, units] of cut) {
    if (units.size === 0) continue;
    for (const { value, axis, perUnit } of slots.get(id) ?? []) {
      const gone = removed.get(value) ?? [];
      removed.set(value, gone);
      for (const unit of units) gone[axis] = (gone[axis] ?? 0) + perUnit[unit]!;
    }
  }
  return removed;
}

function lessIndices(
  type: ConcreteType | undefined,
  gone: readonly number[] | undefined,
): ConcreteType | undefined {
  if (!type || !gone) return type;
  return { ...type, dims: type.dims.map((dim, axis) => dim - (gone[axis] ?? 0)) };
}
