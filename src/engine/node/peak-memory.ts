/**
 * Peak memory of a model, measured in a child process that does nothing else: inside the own
 * process the garbage of other work and the allocator's free pages would count too.
 */
import { fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { PareError, throwIfAborted } from '../../errors.js';
import type { ModelSource, PeakMemory } from '../engine.js';
import type { WireSessionOptions, WireTensors } from '../remote/protocol.js';
import { runtimeError } from '../remote/runtime-error.js';
import { checkFile, externalPaths, writeModel } from './model-files.js';
import type { RuntimeStart } from './runtime-start.js';

export interface PeakRequest extends RuntimeStart {
  readonly path: string;
  /** External data files, for a runtime that does not find them itself. */
  readonly externals: readonly { readonly location: string; readonly file: string }[];
  readonly feeds: WireTensors;
  readonly options: WireSessionOptions;
  readonly runs: number;
}

export type PeakReply = PeakMemory | { readonly error: string };

export interface PeakMemoryOptions extends RuntimeStart {
  readonly model: ModelSource;
  readonly feeds: WireTensors;
  readonly ortOptions: WireSessionOptions;
  readonly runs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Loads from a file in every case, so that models given as bytes and as a path compare. */
export async function measurePeakMemory(options: PeakMemoryOptions): Promise<PeakMemory> {
  const { model, ortOptions, signal, ...rest } = options;
  throwIfAborted(signal);
  const ask = async (path: string) => {
    const findsFiles = rest.runtime === 'onnxruntime-node';
    const externals = findsFiles ? [] : await externalPaths(path, await readFile(path));
    return await askChild({ ...rest, path, externals, options: ortOptions }, signal);
  };
  if ('path' in model) {
    await checkFile(model.path);
    return await ask(model.path);
  }
  const written = await writeModel(model);
  try {
    return await ask(written.model.path);
  } finally {
    await written.dispose?.();
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
