/**
 * The engine of a target, on Node.
 */
import { PareError } from '../errors.js';
import type { Engine, Target } from './engine.js';
import { createNodeEngine, type NodeEngineOptions } from './node.js';

/** Throws `unsupported` for a target that cannot be measured here. */
export async function createEngineFor(
  target: Target,
  options: NodeEngineOptions = {},
): Promise<Engine> {
  if (target === 'node') return createNodeEngine(options);
  throw new PareError('unsupported', `engine: the target ${target} cannot be run on this machine`);
}
