/**
 * A cut as masks: which indices of which axes of which values are kept. Values are told by name, so
 * that the masks hold for every copy of the model that was analysed.
 */
import { PareError } from '../errors.js';
import type { Coupling, Cut } from './family.js';

/** Per axis 1 for kept, 0 for gone; undefined where the whole axis is kept. */
export type AxisMasks = (Uint8Array | undefined)[];
export type Masks = ReadonlyMap<string, AxisMasks>;

/**
 * Throws `usage` for a family or unit that does not exist, and where nothing would be left of an
 * axis.
 */
export function masksOf(coupling: Coupling, cut: Cut): Masks {
  const masks = new Map<string, AxisMasks>();
  const byId = new Map(coupling.families.map((family) => [family.id, family]));
  for (const [id, units] of cut) {
    const family = byId.get(id);
    if (!family) throw new PareError('usage', `cut: no family is named "${id}"`);
    const gone = new Uint8Array(family.units);
    for (const unit of units) {
      if (!Number.isInteger(unit) || unit < 0 || unit >= family.units) {
        throw new PareError('usage', `cut: "${id}" has ${family.units} units, ${unit} is none`);
      }
      gone[unit] = 1;
    }
    if (units.size === 0) continue;
    if (units.size === family.units) {
      throw new PareError('usage', `cut: nothing would be left of "${id}" (${family.units} units)`);
    }
    for (const { value, axis, unitOf } of [...family.members, ...family.carriers]) {
      const axes = masks.get(value.name) ?? [];
      masks.set(value.name, axes);
      axes[axis] ??= new Uint8Array(unitOf.length).fill(1);
      const mask = axes[axis];
      for (let i = 0; i < unitOf.length; i++) if (unitOf[i]! >= 0 && gone[unitOf[i]!]) mask[i] = 0;
    }
  }
  dropWhole(masks);
  return masks;
}

/** An axis can lose nothing to a family that touches another part of it. */
function dropWhole(masks: Map<string, AxisMasks>): void {
  for (const [name, axes] of masks) {
    for (let axis = 0; axis < axes.length; axis++) {
      const mask = axes[axis];
      if (!mask?.includes(0)) axes[axis] = undefined;
      else if (!mask.includes(1)) {
        throw new PareError('usage', `cut: nothing would be left of axis ${axis} of "${name}"`, {
          tensor: name,
          hint: 'keep a unit of every family that is part of it',
        });
      }
    }
    if (axes.every((mask) => mask === undefined)) masks.delete(name);
  }
}
