/**
 * The settings of all optimizers; each reads those that it has. Defaults are the usual ones of the
 * papers, PyTorch 2 among those that use them.
 */
import * as z from 'zod/mini';

export const optimizerNames = ['sgd', 'adam', 'adamw', 'muon'] as const;

const share = z.number().check(z.gte(0), z.lt(1));

export const optimizerOptions = z.object({
  optimizer: z._default(z.enum(optimizerNames), 'adam'),
  /** sgd, muon: share of the last direction that is kept. With sgd 0 keeps none and needs no state. */
  momentum: z._default(share, 0.9),
  /** sgd, muon: look ahead by the momentum (Sutskever et al. 2013). */
  nesterov: z._default(z.boolean(), true),
  /** adam, adamw, muon: the rate is a share of the magnitude of each weight, not a length. */
  relative: z._default(z.boolean(), true),
  /** Pull towards zero, for weights of two dims and more. */
  weightDecay: z._default(z.number().check(z.gte(0)), 1e-4),
  /** adam, adamw, and muon for vectors: decay of the mean of gradients, and of the mean of their squares. */
  beta1: z._default(share, 0.9),
  beta2: z._default(share, 0.999),
  /** adam, adamw, and muon for vectors: added to the root of the mean square. */
  epsilon: z._default(z.number().check(z.positive()), 1e-8),
});

export type OptimizerOptions = z.output<typeof optimizerOptions>;
