/**
 * From the name of a target to the engine that measures it on this machine.
 */
import { PareError } from '../errors.js';
import type { Engine, Target } from './engine.js';
import { createNodeEngine } from './node.js';
import { createWasmEngine } from './node-wasm.js';

export interface EngineForOptions {
  /** Default: all cores on `node`, 1 on `wasm`. */
  readonly threads?: number | undefined;
}

const engines: Readonly<
  Record<Target, ((options: EngineForOptions) => Promise<Engine>) | undefined>
> = Object.freeze({
  node: createNodeEngine,
  wasm: createWasmEngine,
  webgpu: undefined,
});

/**
 * Starts the engine of a target. Close it when done.
 *
 * @throws PareError `unsupported` for a target that Node cannot run (webgpu), or whose package is
 *   not installed
 * @example const engine = await createEngineFor('wasm', { threads: 1 });
 */
export async function createEngineFor(
  target: Target,
  options: EngineForOptions = {},
): Promise<Engine> {
  const create = engines[target];
  if (create !== undefined) return await create(options);
  throw new PareError('unsupported', `engine: the target ${target} cannot be run in Node`, {
    hint: 'it needs the GPU of a browser; measure with the target wasm or node here',
  });
}
