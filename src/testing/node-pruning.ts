/**
 * Cutting small models in tests: parse, analyse, take units, prove on the runtime. For tests only.
 */
import type { Engine } from '../engine/engine.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { analyzeCoupling } from '../prune/analyze-coupling.js';
import type { CouplingOptions } from '../prune/coupling-options.js';
import { cutModel } from '../prune/cut.js';
import type { Coupling, Family } from '../prune/family.js';
import { type Proof, proveCut } from '../prune/proof.js';

export interface Trial {
  readonly coupling: Coupling;
  readonly smaller: Model;
  readonly proof: Proof;
}

/** Every second unit of every family, the last one always kept. */
export function everySecond(families: readonly Family[]): Map<string, Set<number>> {
  return new Map(
    families.map(({ id, units }) => [
      id,
      new Set(Array.from({ length: Math.floor(units / 2) }, (_, i) => 2 * i)),
    ]),
  );
}

/** Cuts every second unit of the model of this text and proves it. */
export async function tryCut(
  engine: Engine,
  model: string | Model,
  options: CouplingOptions = {},
): Promise<Trial> {
  const parsed = typeof model === 'string' ? parseModel(model) : model;
  const coupling = await analyzeCoupling(parsed, options, { engine });
  const cut = everySecond(coupling.families);
  const smaller = await cutModel(coupling, cut);
  const proof = await proveCut(coupling, cut, smaller, { dims: options.dims }, { engine });
  return { coupling, smaller, proof };
}
