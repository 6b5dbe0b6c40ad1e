/**
 * Cuts units out of a model: constants lose their slices, and whatever the file says of sizes is
 * counted anew. Works from the labels alone; what a node has stored, its operator's row tells.
 */
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { couplingOf } from '../ops/coupling.js';
import { countKept } from '../ops/coupling-rule.js';
import { type Masks, masksOf } from './cut-masks.js';
import { CutScopes } from './cut-scope.js';
import type { Coupling, Cut, Family } from './family.js';
import { keepSlices } from './slice-tensor.js';
import { smallConstants } from './small-constants.js';

/**
 * The model without these units. The model that was analysed is not changed.
 * Throws `usage` for units that do not exist, or all units of a family.
 *
 * @example
 * const { families } = coupling;
 * const smaller = await cutModel(coupling, new Map([[families[0].id, new Set([0, 1])]]));
 */
export async function cutModel(coupling: Coupling, cut: Cut): Promise<Model> {
  const copy = cloneModel(coupling.model);
  await applyCut(copy, coupling, cut);
  return copy;
}

/** The same on the model itself, which is the one that was analysed or a copy of it. */
export async function applyCut(model: Model, coupling: Coupling, cut: Cut): Promise<void> {
  const masks = masksOf(coupling, cut);
  const dims = new Map([...coupling.dims].map(([value, each]) => [value.name, each]));
  const numbers = await smallConstants(model.graph);
  const nodes = [...model.graph.nodes];
  const touched = nodes.filter((node) =>
    [...node.inputs, ...node.outputs].some((value) => value && masks.has(value.name)),
  );
  const scopes = new CutScopes({ masks, dims, numbers });
  for (const value of [...model.graph.values]) {
    const own = masks.get(value.name);
    if (own && value.constant) setConstant(value, await keepSlices(value.constant, own));
    else if (own) shrinkType(value, own);
  }
  for (const node of touched) couplingOf(node.op)?.rewrite?.(scopes.of(node));
  for (const { node, before, after } of rescales(model, coupling, cut, masks)) {
    couplingOf(node.op)!.rescale!(scopes.of(node), before, after);
  }
  await scopes.write();
}

function setConstant(value: Value, tensor: NonNullable<Value['initializer']>): void {
  if (value.initializer) {
    value.initializer = tensor;
    if (value.type?.kind === 'tensor') value.type = { ...value.type, dims: tensor.dims };
  } else value.producer!.setAttribute('value', tensor);
}

/** Dims that the file tells; open ones stay open. */
function shrinkType(value: Value, masks: readonly (Uint8Array | undefined)[]): void {
  if (value.type?.kind !== 'tensor' || !value.type.dims) return;
  const dims = value.type.dims.map((dim, axis) => {
    const mask = masks[axis];
    return mask && typeof dim === 'number' ? countKept(mask, mask.length) : dim;
  });
  value.type = { ...value.type, dims };
}

/** Normalizations that are made exact, each once, with the size of its axis before and after. */
function* rescales(
  model: Model,
  coupling: Coupling,
  cut: Cut,
  masks: Masks,
): Generator<{ node: Node; before: number; after: number }> {
  const done = new Set<Node>();
  const isCut = ({ id }: Family) => (cut.get(id)?.size ?? 0) > 0;
  for (const { norms } of coupling.families.filter(isCut)) {
    for (const { node: analysed, exact, axis, input } of norms) {
      if (!exact || done.has(analysed)) continue;
      done.add(analysed);
      const mask = masks.get(analysed.input(input).name)?.[axis];
      if (!mask) continue;
      const node = model.graph.value(analysed.outputs.find((output) => output)!.name).producer!;
      yield { node, before: mask.length, after: countKept(mask, mask.length) };
    }
  }
}
