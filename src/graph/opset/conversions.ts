/**
 * Every conversion of the upgrade, by operator and version. What is not here and not in
 * versions.ts is not known, and refused by name.
 */
import { attributeInputs } from './changes/attribute-inputs.js';
import { broadcasting } from './changes/broadcast.js';
import { dropoutChanges } from './changes/dropout.js';
import { earlyChanges } from './changes/early.js';
import { experimentalChanges } from './changes/experimental.js';
import { normalizationChanges } from './changes/normalization.js';
import { removedAttributes } from './changes/removed-attributes.js';
import { renamed } from './changes/renamed.js';
import { resizeChanges } from './changes/resize.js';
import { scanChanges } from './changes/scan.js';
import { softmaxChanges } from './changes/softmax.js';
import type { Conversion } from './conversion.js';

/** Rows of one operator and version are applied in this order. */
export const conversions: readonly Conversion[] = Object.freeze([
  ...removedAttributes,
  ...earlyChanges,
  ...broadcasting,
  ...experimentalChanges,
  ...attributeInputs,
  ...dropoutChanges,
  ...softmaxChanges,
  ...resizeChanges,
  ...renamed,
  ...normalizationChanges,
  ...scanChanges,
]);

const byVersion = new Map<number, Map<string, Conversion[]>>();
for (const row of conversions) {
  const ops = byVersion.get(row.since) ?? new Map<string, Conversion[]>();
  ops.set(row.op, [...(ops.get(row.op) ?? []), row]);
  byVersion.set(row.since, ops);
}

/** What changes at this opset, by operator. */
export function conversionsAt(version: number): ReadonlyMap<string, readonly Conversion[]> {
  return byVersion.get(version) ?? new Map();
}
