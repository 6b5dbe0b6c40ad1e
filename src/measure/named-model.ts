/**
 * The models that a measurement is given, and the check of their names. No numbers.
 */
import type { Feeds, HostTensor, ModelSource, SessionOptions } from '../engine/engine.js';
import { PareError } from '../errors.js';

export interface NamedModel {
  /** How results name it; unique among the models that are measured together. */
  readonly name: string;
  readonly source: ModelSource;
  /** Runtime options that this model is made for, such as { 'session.disable_quant_qdq': '1' }. */
  readonly config?: Readonly<Record<string, string>> | undefined;
  /** Turns feeds of the data into what this model takes, where it takes another form of them. */
  readonly adapt?: ((feeds: Feeds) => Feeds) | undefined;
  /** Turns what this model gives into what is compared, where it gives another form of it. */
  readonly restore?: ((outputs: Feeds) => Record<string, HostTensor>) | undefined;
}

/** What all sessions of a measurement have in common. */
export type SharedSessionOptions = Pick<SessionOptions, 'optimization' | 'threads'>;

export function sessionOptions(
  model: NamedModel,
  shared: SharedSessionOptions | undefined,
  signal: AbortSignal | undefined,
): SessionOptions {
  return { ...shared, ...(model.config && { config: model.config }), signal };
}

/** Throws `usage` when there is no model, or two have the same name. */
export function checkNames(models: readonly NamedModel[], what: string): void {
  if (models.length === 0) throw new PareError('usage', `${what}: no model is given`);
  const names = models.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    throw new PareError('usage', `${what}: two models are named "${twice}"`, {
      hint: 'results are told apart by the name; give each model its own',
    });
  }
}
