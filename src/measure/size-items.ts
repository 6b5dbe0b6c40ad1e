/**
 * The bytes of a model by layer and by what they are for. Reads sizes, not numbers.
 */
import type { Model } from '../graph/model.js';
import type { ConstantRole } from '../ops/input-roles.js';
import { constantsOf, mainUse } from './size.js';

/** Plain JSON. */
export interface SizeItem {
  /** The node that uses the constants; '' for what is too small to be told apart. */
  readonly layer: string;
  readonly op: string;
  readonly role: ConstantRole;
  readonly bytes: number;
}

/**
 * Largest first. Beyond `most` items the rest are summed by role, so that all bytes are there.
 * @example sizeItems(model, 100).reduce((sum, { bytes }) => sum + bytes, 0) // all constants
 */
export function sizeItems(model: Model, most = 120): SizeItem[] {
  const sums = new Map<string, { layer: string; op: string; role: ConstantRole; bytes: number }>();
  const add = (layer: string, op: string, role: ConstantRole, bytes: number) => {
    const key = `${role}\n${op}\n${layer}`;
    const sum = sums.get(key) ?? { layer, op, role, bytes: 0 };
    sums.set(key, sum);
    sum.bytes += bytes;
  };
  for (const { value, tensor, bytes } of constantsOf(model)) {
    if (bytes === 0) continue;
    const { role, op, node } = mainUse(value, tensor);
    add(node?.label ?? '', op, role, bytes);
  }
  const all = [...sums.values()].sort((a, b) => b.bytes - a.bytes);
  const rest = new Map<ConstantRole, SizeItem>();
  for (const { role, bytes } of all.slice(most)) {
    const before = rest.get(role)?.bytes ?? 0;
    rest.set(role, { layer: '', op: '', role, bytes: before + bytes });
  }
  return [...all.slice(0, most), ...rest.values()];
}
