/** Attributions for a model as it is: prepared here, and nothing of it renamed or folded. */
import type { Engine } from '../engine/engine.js';
import { inferShapes } from '../engine/shapes.js';
import { PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { openBatch } from '../train/open-batch.js';
import { prepare } from '../train/prepare.js';
import { Attributor } from './attribution.js';
import { logitsOf } from './target.js';

/**
 * @param model a classifier; not changed
 * @throws PareError `unsupported` for a model without a class per sample or without inputs of floats
 *
 * @example
 * const attributor = await openAttributor(model, { engine });
 * const { values } = await attributor.input(feeds, 3, 'integrated-gradients');
 * await attributor.close();
 */
export async function openAttributor(
  model: Model,
  { engine, signal }: { readonly engine: Engine; readonly signal?: AbortSignal | undefined },
): Promise<Attributor> {
  const opened = cloneModel(await openBatch(model, engine));
  await prepare(opened, engine, { signal });
  await inferShapes(engine, opened, { signal });
  const logits = logitsOf(opened);
  const dims = logits.dims?.slice(1) ?? [];
  const wide = dims.filter((dim) => dim !== 1);
  if (wide.length !== 1 || dims.some((dim) => typeof dim !== 'number')) {
    throw new PareError(
      'unsupported',
      `explain: the first output is [${logits.dims?.map((dim) => dim ?? '?') ?? '?'}], not a class per sample`,
      { tensor: logits.name },
    );
  }
  return new Attributor(
    { engine, model: opened, signal },
    {
      task: 'classification',
      logits: logits.name,
      dims: dims as number[],
      classes: wide[0] as number,
      tokens: undefined,
    },
  );
}
