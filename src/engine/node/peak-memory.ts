/**
 * Peak memory of a model, measured in a child process that does nothing else: inside the own
 * process the garbage of other work and the allocator's free pages would count too.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PareError, throwIfAborted } from '../../errors.js';
import type { ModelSource, PeakMemory } from '../engine.js';
import { checkFile, writeModel } from './model-files.js';
import type { WireSessionOptions, WireTensors } from './protocol.js';
import { runtimeError } from './runtime-error.js';

export interface PeakRequest {
  readonly path: string;
  readonly feeds: WireTensors;
  readonly options: WireSessionOptions;
  readonly runs: number;
}

export type PeakReply = PeakMemory | { readonly error: string };

export interface PeakMemoryOptions {
  readonly model: ModelSource;
  readonly feeds: WireTensors;
  readonly ortOptions: WireSessionOptions;
  readonly runs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Loads from a file in every case, so that models given as bytes and as a path compare. */
export async function measurePeakMemory(options: PeakMemoryOptions): Promise<PeakMemory> {
  const { model, feeds, ortOptions, runs, signal } = options;
  throwIfAborted(signal);
  if ('path' in model) {
    await checkFile(model.path);
    return await askChild({ path: model.path, feeds, options: ortOptions, runs }, signal);
  }
  const { model: written, folder } = await writeModel(model);
  try {
    return await askChild({ path: written.path, feeds, options: ortOptions, runs }, signal);
  } finally {
    await folder?.remove();
  }
}

function askChild(request: PeakRequest, signal: AbortSignal | undefined): Promise<PeakMemory> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./peak-memory-child.js', import.meta.url)), {
      serialization: 'advanced',
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    // A process of its own may be killed in the middle of a run, unlike a thread.
    const kill = () => child.kill('SIGKILL');
    process.on('exit', kill);
    signal?.addEventListener('abort', kill, { once: true });
    let reply: PeakReply | undefined;
    child.once('message', (message) => {
      reply = message as PeakReply;
    });
    child.once('error', (error) => {
      reply ??= { error: String(error) };
    });
    child.once('close', (code, killedBy) => {
      process.off('exit', kill);
      signal?.removeEventListener('abort', kill);
      if (reply !== undefined && 'peakBytes' in reply) resolve(reply);
      else if (signal?.aborted) reject(new PareError('aborted', 'peak memory: cancelled'));
      else {
        const how = killedBy === null ? `with code ${code}` : `by ${killedBy}`;
        reject(runtimeError('peak memory', reply?.error ?? `the process was ended ${how}`));
      }
    });
    child.send(request, (error) => {
      if (error !== null) reply ??= { error: String(error) };
    });
  });
}
