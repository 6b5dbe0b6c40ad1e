/**
 * Makes a step of one batch size: with every shape known there are fewer nodes, the recipes of
 * gradients are chosen by numbers, and what is faster as a matrix product becomes one.
 * Changes no result but for the order of sums.
 */
import type { Engine } from '../engine/engine.js';
import { inferShapes } from '../engine/shapes.js';
import type { Model } from '../graph/model.js';
import { productFormOf } from '../ops/product-form.js';
import { expandNode } from './prepare.js';

/** Gives the open first dim of the inputs this number. Inputs with a fixed one stay. */
export async function fixBatch(
  model: Model,
  batchSize: number,
  engine: Engine,
  signal?: AbortSignal,
): Promise<void> {
  const { graph } = model;
  const symbols = new Set<string>();
  for (const { type, initializer } of graph.inputs) {
    const first = type?.kind === 'tensor' && !initializer ? type.dims?.[0] : undefined;
    if (typeof first === 'string') symbols.add(first);
  }
  for (const value of graph.inputs) {
    const { type } = value;
    if (type?.kind !== 'tensor' || !type.dims || value.initializer) continue;
    const dims = type.dims.map((dim, axis) =>
      (axis === 0 && dim === undefined) || (typeof dim === 'string' && symbols.has(dim))
        ? batchSize
        : dim,
    );
    value.type = { ...type, dims };
  }
  // What was inferred for any batch would stay where nothing better is found.
  for (const value of graph.values) {
    if (value.isInput || value.isConstant || value.type?.kind !== 'tensor') continue;
    if (value.isOutput) value.type = { ...value.type, dims: undefined };
    else value.type = undefined;
  }
  await inferShapes(engine, model, { signal });
}

/** Writes what is faster so as matrix products. */
export function useProducts({ graph }: Model): void {
  for (const node of [...graph.nodes]) {
    const form = productFormOf(node);
    if (form) expandNode(node, form);
  }
}
