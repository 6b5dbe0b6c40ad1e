/**
 * What several commands open and must close again: models, an engine, data. The options for it are
 * in fields.ts, which loads nothing of this.
 */
import { basename, resolve } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { splitDataset } from '../data/split.js';
import type { Engine, PortInfo, Target } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { PareError } from '../errors.js';
import type { NamedModel } from '../measure/named-model.js';
import { createEngineFor, loadPreprocess, type OpenModel, openData, openModel } from '../node.js';

import { bordersAs } from '../optimize/measuring.js';
import type { Borders } from '../optimize/targets.js';
import type { GlobalValues } from './global-options.js';
import type { Output } from './output.js';

export { portsOf } from '../optimize/measuring.js';

export interface DataValues {
  readonly data?: string | undefined;
  readonly preprocess?: string | undefined;
  readonly samples?: number | undefined;
}

/** Opens models, runs, and closes them whatever happens. */
export async function usingModels<T>(
  paths: readonly string[],
  cwd: string,
  run: (models: readonly OpenModel[]) => Promise<T>,
): Promise<T> {
  const opened: OpenModel[] = [];
  try {
    for (const path of paths) opened.push(await openModel(resolve(cwd, path)));
    return await run(opened);
  } finally {
    for (const each of opened) await each.close();
  }
}

export async function usingEngine<T>(
  target: Target,
  globals: Pick<GlobalValues, 'threads'>,
  run: (engine: Engine) => Promise<T>,
): Promise<T> {
  const { threads } = globals;
  const engine = await createEngineFor(target, threads === undefined ? {} : { threads });
  try {
    return await run(engine);
  } finally {
    await engine.close();
  }
}

/** The path of --data. Throws `usage` when it is missing. */
export function requireData({ data }: DataValues): string {
  if (data !== undefined) return data;
  throw new PareError('usage', 'no data is given', {
    hint: '--data PATH: a folder of images, npz, IDX, CSV, JSONL ...; labels are optional',
  });
}

/** For commands that need no data. Throws `usage` for a flag that would have no effect. */
export function refuseDataOptions({ data, preprocess, samples }: DataValues): void {
  if (data !== undefined) return;
  const idle = preprocess !== undefined ? 'preprocess' : samples !== undefined ? 'samples' : null;
  if (idle === null) return;
  throw new PareError('usage', `--${idle} has no effect without data`, {
    hint: 'give --data PATH',
  });
}

/** All files that a command reads: what it must never write over. */
export function inputFiles(
  models: readonly string[],
  { data, preprocess }: DataValues,
  cwd: string,
): string[] {
  // A preprocessing that is no path names no file, which does no harm here.
  return [...models, ...[data, preprocess].flatMap((path) => (path ? [resolve(cwd, path)] : []))];
}

/** Opens the data for a model's inputs. Throws `usage` when --data is missing. */
export async function usingData<T>(
  options: DataValues,
  ports: readonly PortInfo[],
  cwd: string,
  run: (dataset: Dataset) => Promise<T>,
): Promise<T> {
  const { preprocess } = options;
  const dataset = await openData(resolve(cwd, requireData(options)), { ports, preprocess });
  try {
    return await run(dataset);
  } finally {
    await dataset.close?.();
  }
}

/** Seeded choice of at most `limit` samples, ascending; all of them without a limit. */
export function chosenIndices(
  dataset: Dataset,
  limit: number | undefined,
  seed: number,
): Uint32Array {
  const count = dataset.parts ? dataset.parts.test.end - dataset.parts.test.start : dataset.size;
  const evaluate = Math.min(limit ?? count, count);
  return splitDataset(dataset, { calibrate: 0, evaluate, seed }).evaluate;
}

/** How tables fit where they go: stderr, or stdout for a command whose table is the result. */
export function tableSettings(output: Output, onStdout = false) {
  const { width, style } = onStdout ? output.stdoutTerminal : output.terminal;
  return { width: width ?? Number.POSITIVE_INFINITY, style };
}

/** Models under their files' names, as measurements take them; a second one of a name gets a number. */
export async function namedModels(
  paths: readonly string[],
  opened: readonly OpenModel[],
): Promise<NamedModel[]> {
  const seen = new Map<string, number>();
  const models: NamedModel[] = [];
  for (const [at, { model }] of opened.entries()) {
    const name = basename(paths[at]!);
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    models.push({
      name: count === 1 ? name : `${name} (${count})`,
      source: await modelSource(model),
      ...bordersAs(model),
    });
  }
  return models;
}

/** What --quantize-input and --quantize-output ask for, with the numbers of --preprocess. */
export async function bordersOf(
  options: DataValues & {
    readonly quantizeInput: boolean;
    readonly inputLayout?: 'NCHW' | 'NHWC' | undefined;
    readonly quantizeOutput: boolean;
  },
): Promise<Borders> {
  const { quantizeInput, inputLayout, quantizeOutput } = options;
  if (!quantizeInput && inputLayout !== undefined) {
    throw new PareError('usage', '--input-layout says how a raw input is laid out', {
      hint: 'add --quantize-input',
    });
  }
  if (!quantizeInput) return quantizeOutput ? { output: {} } : {};
  const { scale, mean, std } = await loadPreprocess(options.preprocess);
  const given = Object.entries({ scale, mean, std, layout: inputLayout });
  return {
    input: Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    ...(quantizeOutput && { output: {} }),
  };
}
