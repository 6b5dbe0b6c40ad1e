/**
 * Runs two models on the same inputs and tells how far their outputs are apart.
 */
import { castTensor } from '../data/convert.js';
import type { Engine, EngineSession, Feeds, HostTensor, PortInfo } from '../engine/engine.js';
import { randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { PareError, throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import { dataTypes } from '../onnx/data-type.js';
import { OutputComparison, type OutputMeasure } from './compare-outputs.js';

export interface DiffOutputsOptions {
  /** Inputs of the first model; default random ones. Can be called with the ports of that model. */
  readonly feeds?: ((ports: readonly PortInfo[]) => AsyncIterable<Feeds>) | undefined;
  /** Random inputs: how many, of which seed, and sizes of open dims. Default 4, 0, none. */
  readonly samples?: number | undefined;
  readonly seed?: number | undefined;
  readonly dims?: Readonly<Record<string, number | readonly number[]>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Plain JSON. */
export interface OutputDiff {
  /** Runs of both models. */
  readonly samples: number;
  readonly inputs: 'random' | 'given';
  /** Outputs that both have, those of the second model against the first. */
  readonly outputs: readonly OutputMeasure[];
  /** Outputs that do not compare, and why. */
  readonly notes: readonly string[];
}

/**
 * Inputs go by name, by position where the second model has other names, and are rounded where it
 * wants another float type. Throws `engine` when a model does not load or run, `data-mismatch`
 * when the second one has inputs that the first has not.
 */
export async function diffOutputs(
  a: Model,
  b: Model,
  engine: Engine,
  options: DiffOutputsOptions = {},
): Promise<OutputDiff> {
  const { signal } = options;
  const sessions: EngineSession[] = [];
  try {
    for (const model of [a, b]) {
      sessions.push(await engine.createSession(await modelSource(model), { signal }));
    }
    const [one, two] = sessions as [EngineSession, EngineSession];
    const notes: string[] = [];
    const common = commonOutputs(one, two, notes);
    const comparisons = new Map(common.map((name) => [name, new OutputComparison(name)]));
    let samples = 0;
    for await (const feeds of options.feeds?.(one.inputs) ?? randomInputs(one.inputs, options)) {
      throwIfAborted(signal);
      const expected = await one.run(feeds, common, { signal });
      const got = await two.run(translate(feeds, one, two), common, { signal });
      for (const [name, comparison] of [...comparisons]) {
        // An output of another shape cannot be compared; the others still can.
        const problem = addTo(comparison, got[name]!, expected[name]!);
        if (problem === undefined) continue;
        comparisons.delete(name);
        notes.push(problem);
      }
      samples++;
    }
    return {
      samples,
      inputs: options.feeds ? 'given' : 'random',
      outputs: [...comparisons.values()].map((comparison) => comparison.result()),
      notes,
    };
  } finally {
    for (const session of sessions) await session.release();
  }
}

function addTo(comparison: OutputComparison, got: HostTensor, expected: HostTensor) {
  try {
    comparison.add(got, expected);
    return undefined;
  } catch (error) {
    if (error instanceof PareError && error.code === 'data-mismatch') return error.message;
    throw error;
  }
}

/** Seeded inputs for models without data. */
export async function* randomInputs(
  ports: readonly PortInfo[],
  { samples = 4, seed = 0, dims }: DiffOutputsOptions,
): AsyncGenerator<Feeds> {
  for (let at = 0; at < samples; at++) {
    yield randomFeeds(ports, { seed: seed + at, ...(dims && { dims }) });
  }
}

function commonOutputs(a: EngineSession, b: EngineSession, notes: string[]): string[] {
  const others = new Map(b.outputs.map((port) => [port.name, port]));
  return a.outputs.flatMap(({ name, dataType }) => {
    const other = others.get(name);
    if (!other) return [];
    if (dataType !== undefined && other.dataType !== undefined) return [name];
    notes.push(`${name} is no tensor and was not compared`);
    return [];
  });
}

function translate(feeds: Feeds, a: EngineSession, b: EngineSession): Feeds {
  const translated: Record<string, HostTensor> = {};
  for (const [at, port] of b.inputs.entries()) {
    const before = a.inputs[at];
    const feed = feeds[port.name] ?? (before && !isNamed(b, before.name) && feeds[before.name]);
    if (!feed) {
      throw new PareError(
        'data-mismatch',
        `diff: only the second model has an input "${port.name}"`,
        {
          hint: 'outputs compare only for models with the same inputs',
        },
      );
    }
    translated[port.name] = castFloats(feed, port);
  }
  return translated;
}

function isNamed({ inputs }: EngineSession, name: string): boolean {
  return inputs.some((port) => port.name === name);
}

function castFloats(feed: HostTensor, { dataType, name }: PortInfo): HostTensor {
  if (dataType === undefined || dataType === feed.dataType) return feed;
  const isFloat = (type: typeof dataType) => dataTypes[type].kind === 'float';
  return isFloat(dataType) && isFloat(feed.dataType) ? castTensor(feed, dataType, name) : feed;
}
