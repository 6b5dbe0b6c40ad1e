/**
 * The config file: `pare.config.json`, `.js` or `.mjs` in the working directory, or the file of
 * --config. Section `common` holds for every command that knows the option, a section with a
 * command's name for that command. Flags override the file, the file overrides defaults.
 */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { didYouMean } from '../data/did-you-mean.js';
import { ioError } from '../disk/io-error.js';
import { messageOf, PareError } from '../errors.js';

/** Options by their camelCase names. */
export type ConfigSection = Readonly<Record<string, unknown>>;

export interface PareConfig {
  /** For editors. */
  readonly $schema?: string;
  /** For every command: threads, seed, force, quiet, verbose, color, and options by name. */
  readonly common?: ConfigSection;
  /** One section per command. */
  readonly [command: string]: ConfigSection | string | undefined;
}

/**
 * Types a config file written in JavaScript.
 * @example export default defineConfig({ common: { threads: 2 }, optimize: { maxDrop: '0.5%' } });
 */
export function defineConfig<const Config extends PareConfig>(config: Config): Config {
  return config;
}

export interface LoadedConfig {
  /** Absolute path. */
  readonly file: string;
  readonly sections: ReadonlyMap<string, ConfigSection>;
}

const names = Object.freeze(['pare.config.json', 'pare.config.js', 'pare.config.mjs']);

/**
 * Reads the config file, or returns undefined when there is none and none was asked for.
 * Throws PareError `usage` for a file that is not a config or has an unknown section, `io` when
 * the file of --config cannot be read.
 */
export async function loadConfig(
  cwd: string,
  explicit: string | undefined,
  commands: readonly string[],
): Promise<LoadedConfig | undefined> {
  const file = explicit === undefined ? findConfig(cwd) : resolve(cwd, explicit);
  if (file === undefined) return undefined;
  const value = file.endsWith('.json') ? await readJson(file) : await importModule(file);
  if (!isObject(value)) {
    throw new PareError('usage', 'config: expected an object with a section per command', { file });
  }
  const sections = new Map<string, ConfigSection>();
  for (const [name, section] of Object.entries(value)) {
    if (name === '$schema') continue;
    checkName(name, ['common', ...commands], 'section', file);
    if (!isObject(section)) {
      throw new PareError('usage', `config: section "${name}" must be an object`, { file });
    }
    sections.set(name, section);
  }
  return { file, sections };
}

/** Throws `usage` for a name that is not among the known ones. */
export function checkName(
  name: string,
  known: readonly string[],
  kind: string,
  file: string,
): void {
  if (known.includes(name)) return;
  const close = didYouMean(name, known);
  throw new PareError('usage', `config: unknown ${kind} "${name}"`, {
    file,
    hint: close ? `did you mean "${close}"?` : `known: ${known.join(', ')}`,
  });
}

function findConfig(cwd: string): string | undefined {
  const found = names.map((name) => join(cwd, name)).filter((file) => existsSync(file));
  if (found.length > 1) {
    const both = found.map((file) => basename(file)).join(' and ');
    throw new PareError('usage', `config: there is more than one config file: ${both}`, {
      hint: 'keep one, or choose with --config FILE',
    });
  }
  return found[0];
}

async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw ioError('read', file, error);
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PareError('usage', `config: not valid JSON: ${messageOf(cause)}`, { file, cause });
  }
}

async function importModule(file: string): Promise<unknown> {
  if (!existsSync(file)) {
    throw ioError('read', file, Object.assign(new Error('missing'), { code: 'ENOENT' }));
  }
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(file).href);
  } catch (cause) {
    throw new PareError('usage', `config: cannot be imported: ${messageOf(cause)}`, {
      file,
      cause,
    });
  }
  if (module.default === undefined) {
    throw new PareError('usage', 'config: the module has no default export', {
      file,
      hint: 'export default { common: {}, optimize: {} }',
    });
  }
  return module.default;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
