/**
 * Runs the fixtures of a rewrite: text files with a model, options and the model expected of the
 * pass. Each one is also run twice to prove that the second run changes nothing, and through the
 * engine to prove that outputs stay equal. For tests only; not part of the library's interface.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as z from 'zod/mini';
import type { Engine, Feeds, HostTensor } from '../engine/engine.js';
import { float32Of, randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { applyPass, type Pass } from '../pass.js';

export interface FixtureOptions {
  /**
   * How far an output may move, as a share of the largest magnitude in it (at least of 1).
   * Default 1e-5. Integers, bools and strings must be equal whatever the tolerance.
   */
  readonly tolerance?: number;
  /** Options for cases that give none. Default {}. */
  readonly options?: unknown;
}

interface Fixture {
  /** Everything before the expected model: written back as it is. */
  readonly head: string;
  readonly model: string;
  readonly options: unknown;
  readonly expected: string | undefined;
}

/**
 * One test per `.txt` file of the folder:
 * ```
 * # what the case shows, in any number of lines
 * main (float[2] x) => (float[2] y) { a = Identity(x) y = Relu(a) }
 * ---
 * {"an": "option"}
 * ---
 * the model that the pass makes of it, as printModel prints it
 * ```
 * The options with the line before them may be left out. PARE_UPDATE_FIXTURES=1 writes the
 * expected part: read the diff before you commit it.
 *
 * @example describeFixtures(new URL('./fixtures/remove-identity', import.meta.url), removeIdentity)
 */
export function describeFixtures<Schema extends z.ZodMiniType>(
  folder: string | URL,
  pass: Pass<Schema>,
  options: FixtureOptions = {},
): void {
  const path = folder instanceof URL ? fileURLToPath(folder) : folder;
  const files = readdirSync(path).filter((file) => file.endsWith('.txt'));
  if (files.length === 0) throw new Error(`no fixtures in ${path}`);
  describe(`${pass.name}: fixtures`, () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await createNodeEngine({ threads: 1 });
    });
    afterAll(() => engine.close());
    for (const file of files.sort()) {
      test(basename(file, '.txt'), () => runFixture(join(path, file), pass, options, engine));
    }
  });
}

async function runFixture<Schema extends z.ZodMiniType>(
  file: string,
  pass: Pass<Schema>,
  settings: FixtureOptions,
  engine: Engine,
): Promise<void> {
  const fixture = readFixture(readFileSync(file, 'utf8'), settings.options ?? {});
  const model = parseModel(fixture.model);
  const before = await printModel(model, { weights: 'full' });
  const options = fixture.options as z.input<Schema>;
  const { model: result } = await applyPass(model, pass, options, { engine });
  expect(await printModel(model, { weights: 'full' }), 'the input of the pass').toBe(before);

  const printed = await printModel(result);
  if (process.env.PARE_UPDATE_FIXTURES === '1') {
    writeFileSync(file, `${fixture.head}---\n${printed}`);
  } else {
    expect(
      fixture.expected,
      'run with PARE_UPDATE_FIXTURES=1 to write what is expected',
    ).toBeDefined();
    expect(printed).toBe(fixture.expected);
  }
  const { model: twice } = await applyPass(result, pass, options, { engine });
  expect(await printModel(twice), 'the second run').toBe(printed);
  await expectEqualOutputs(engine, model, result, settings.tolerance ?? 1e-5);
}

function readFixture(text: string, options: unknown): Fixture {
  const [model = '', ...rest] = text.split(/^---\n/m);
  // A model never begins with a brace, so options are told apart without an expected part.
  const given = rest[0]?.trimStart().startsWith('{') ? rest[0] : undefined;
  return {
    head: given === undefined ? model : `${model}---\n${given}`,
    model,
    options: given === undefined ? options : JSON.parse(given),
    expected: given === undefined ? rest[0] : rest[1],
  };
}

/**
 * Runs both models on the same seeded inputs and expects the same outputs, by name. Magnitudes
 * and tolerance as in FixtureOptions. Runs without graph optimization, which would hide errors.
 */
export async function expectEqualOutputs(
  engine: Engine,
  a: Model,
  b: Model,
  tolerance = 1e-5,
): Promise<void> {
  for (const seed of [1, 2]) {
    const feeds = await feedsFor(engine, a, seed);
    const left = await outputsOf(engine, a, feeds);
    const right = await outputsOf(engine, b, feeds);
    expect(Object.keys(right)).toEqual(Object.keys(left));
    for (const [name, output] of Object.entries(left)) {
      expectClose(name, output, right[name]!, tolerance);
    }
  }
}

async function feedsFor(engine: Engine, model: Model, seed: number): Promise<Feeds> {
  const session = await engine.createSession(await modelSource(model));
  try {
    return randomFeeds(session.inputs, { seed });
  } finally {
    await session.release();
  }
}

async function outputsOf(engine: Engine, model: Model, feeds: Feeds) {
  const session = await engine.createSession(await modelSource(model), {
    optimization: 'disabled',
  });
  try {
    // A pass may have removed an input that nothing used.
    const wanted = session.inputs.map(({ name }) => [name, feeds[name]!] as const);
    return await session.run(Object.fromEntries(wanted));
  } finally {
    await session.release();
  }
}

function expectClose(name: string, a: HostTensor, b: HostTensor, tolerance: number): void {
  expect({ type: b.dataType, dims: b.dims }, name).toEqual({ type: a.dataType, dims: a.dims });
  if (!a.dataType.includes('float') && a.dataType !== 'double') {
    expect(b.data, name).toEqual(a.data);
    return;
  }
  const [left, right] = [float32Of(a), float32Of(b)];
  const magnitude = left.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 1);
  const wrong = left.findIndex(
    (value, i) =>
      !(Object.is(value, right[i]) || Math.abs(value - right[i]!) <= tolerance * magnitude),
  );
  if (wrong >= 0) {
    expect.fail(
      `output "${name}" moved at element ${wrong}: ${left[wrong]} became ${right[wrong]}, ` +
        `allowed is ${tolerance} of ${magnitude}`,
    );
  }
}
