/**
 * Which tensors of a model carry masks, in its metadata under `pare.masks`: a JSON object from the
 * name of the initializer to the pattern. The mask itself is the tensor's: what is exactly zero is
 * masked and has to stay zero in training. So no file needs a second tensor per weight, any tool
 * that keeps metadata keeps the masks, and integers with a zero point of their own keep them too.
 */
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Tensor } from '../onnx/tensor.js';

export const masksKey = 'pare.masks';

/** Notes that the tensor carries a mask of this pattern: 'unstructured', '2:4', '4x1'. */
export function recordMasks(model: Model, added: ReadonlyMap<string, string>): void {
  if (added.size === 0) return;
  const all = new Map([...recordedMasks(model), ...added]);
  model.metadata.set(masksKey, JSON.stringify(Object.fromEntries(all)));
}

/**
 * The masked tensors that are in the main graph, by name, with their patterns. Names that a later
 * pass took away are left out: their tensors are gone.
 *
 * @example
 * for (const [name] of readMasks(model)) {
 *   const mask = await maskOf(model.graph.value(name).initializer!);
 * }
 */
export function readMasks(model: Model): ReadonlyMap<string, string> {
  const kept = [...recordedMasks(model)].filter(([name]) => model.graph.find(name)?.constant);
  return new Map(kept);
}

/** 1 where the tensor is not zero and may be trained, 0 where it has to stay zero. */
export async function maskOf(tensor: Tensor): Promise<Uint8Array> {
  return Uint8Array.from(await tensor.floats(), (value) => Number(value !== 0));
}

const hint =
  'prune the model again, or remove the entry: zeros are then not known to be pruned, and training fills them';

function recordedMasks(model: Model): ReadonlyMap<string, string> {
  const text = model.metadata.get(masksKey);
  if (text === undefined) return new Map();
  try {
    const record: unknown = JSON.parse(text);
    const entries = Object.entries(record ?? {});
    if (!Array.isArray(record) && entries.every(([, pattern]) => typeof pattern === 'string')) {
      return new Map(entries as [string, string][]);
    }
  } catch (cause) {
    throw new PareError('invalid-model', `${masksKey}: the metadata is no JSON`, { cause, hint });
  }
  throw new PareError('invalid-model', `${masksKey}: the metadata is no object of patterns`, {
    hint,
  });
}
