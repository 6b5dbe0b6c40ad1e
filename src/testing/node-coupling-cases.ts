/**
 * Coupling rules as cases: a small model, the units that its widths have, and what the cut has to
 * leave in attributes. Each is cut and proved on the runtime. For tests only.
 */
import { expect } from 'vitest';
import type { Engine } from '../engine/engine.js';
import type { Node } from '../graph/node.js';
import type { CouplingOptions } from '../prune/coupling-options.js';
import { tryCut } from './node-pruning.js';

export interface CouplingCase {
  readonly name: string;
  readonly text: string;
  /** Units of each family, in order. */
  readonly units: readonly number[];
  readonly options?: CouplingOptions;
  /** Attributes of the one node of an operator that has them, after every second unit has left. */
  readonly stored?: readonly (readonly [op: string, attribute: string, value: number])[];
}

/** A constant of normal numbers in the textual form. */
export const randomWeight = (dims: string, name: string, seed: number, std = 0.5) =>
  `float[${dims}] ${name} = normal(seed=${seed}, std=${std})`;

/** Cuts every second unit: zeroed and removed must agree, and zeroing must show. */
export async function expectCut(engine: Engine, each: CouplingCase): Promise<void> {
  const { coupling, smaller, proof } = await tryCut(engine, each.text, each.options);
  expect(coupling.families.map((family) => family.units)).toEqual(each.units);
  expect(proof).toMatchObject({ holds: true, blind: false });
  for (const [op, attribute, value] of each.stored ?? []) {
    const nodes: Node[] = [...smaller.graph.nodes];
    const found = nodes.filter((node) => node.op === op && node.has(attribute));
    expect(found.map((node) => node.int(attribute))).toEqual([value]);
  }
}
