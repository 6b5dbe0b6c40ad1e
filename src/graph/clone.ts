/**
 * Copies of models: passes work on a copy, so that the caller's model is never modified.
 * Weights are shared between the copies, since tensors are immutable.
 */
import { modelFromProto } from './from-proto.js';
import type { Model } from './model.js';
import { modelToProto } from './to-proto.js';

export function cloneModel(model: Model): Model {
  const { proto, contents } = modelToProto(model);
  const copy = modelFromProto(proto, (tensor) => contents.get(tensor)!);
  copy.file = model.file;
  return copy;
}
