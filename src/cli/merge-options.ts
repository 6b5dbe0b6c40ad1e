/**
 * Puts defaults, config file and flags together, and knows of every value where it came from, so
 * that an error names the flag or the key of the file.
 */
import type * as z from 'zod/mini';
import { PareError } from '../errors.js';
import { checkOptions } from './check-options.js';
import { type ConfigSection, checkName, type LoadedConfig } from './config.js';
import {
  checkGlobal,
  configurableGlobals,
  type GlobalValues,
  globalDefaults,
} from './global-options.js';
import type { OptionSpec } from './option-spec.js';

export interface MergeParts {
  readonly command: string;
  readonly schema: z.ZodMiniObject;
  readonly specs: readonly OptionSpec[];
  /** What the command line gave: the command's own options, and the flags of every command. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly givenGlobals: Readonly<Partial<GlobalValues>>;
  readonly config: LoadedConfig | undefined;
  /** Names of the options of all commands; asked only when `common` holds one not known here. */
  readonly allOptions: () => Promise<readonly string[]>;
}

export interface Merged {
  readonly options: Readonly<Record<string, unknown>>;
  readonly globals: GlobalValues;
}

/** Throws PareError `usage` for an unknown key, a wrong value, or a missing required option. */
export async function mergeOptions(parts: MergeParts): Promise<Merged> {
  const { specs, config, given } = parts;
  const fromFile = config ? await optionsOfFile(parts, config) : new Map<string, FileValue>();
  const values: Record<string, unknown> = {};
  for (const spec of specs) {
    const value = fromFile.get(spec.key);
    if (spec.key in given) values[spec.key] = given[spec.key];
    else if (value) values[spec.key] = readFileValue(spec, value);
  }
  const nameOf = (key: string) => {
    const spec = specs.find((candidate) => candidate.key === key);
    const value = fromFile.get(key);
    if (value && !(key in given)) return value.name;
    if (!spec) return key;
    const flag = spec.isBoolean ? `--${spec.flag}` : `--${spec.flag} ${spec.placeholder}`;
    return values[key] === undefined ? flag : `--${spec.flag}`;
  };
  return {
    options: checkOptions(parts.schema, values, nameOf),
    globals: { ...globalDefaults, ...globalsOfFile(config), ...parts.givenGlobals },
  };
}

interface FileValue {
  readonly value: unknown;
  /** `pare.config.json: optimize.maxDrop` */
  readonly name: string;
}

async function optionsOfFile(
  parts: MergeParts,
  config: LoadedConfig,
): Promise<Map<string, FileValue>> {
  const { command, specs, allOptions } = parts;
  const known = specs.map(({ key }) => key);
  const common = config.sections.get('common') ?? {};
  const own = config.sections.get(command) ?? {};
  const ownGlobal = Object.keys(own).find((key) => isGlobal(key) && !known.includes(key));
  if (ownGlobal !== undefined) {
    throw new PareError('usage', `config: "${ownGlobal}" belongs into the section "common"`, {
      file: config.file,
    });
  }
  for (const key of Object.keys(own)) checkName(key, known, `key in "${command}"`, config.file);
  const foreign = Object.keys(common).filter((key) => !known.includes(key) && !isGlobal(key));
  if (foreign.length > 0) {
    const all = [...configurableGlobals, ...(await allOptions())];
    for (const key of foreign) checkName(key, all, 'key in "common"', config.file);
  }
  const values = new Map<string, FileValue>();
  const add = (name: string, section: ConfigSection) => {
    for (const [key, value] of Object.entries(section)) {
      if (known.includes(key)) values.set(key, { value, name: `${config.file}: ${name}.${key}` });
    }
  };
  add('common', common);
  add(command, own);
  return values;
}

/** A text in the file is read as the flag's would be: "0.5%" is half a point there too. */
function readFileValue(spec: OptionSpec, { value, name }: FileValue): unknown {
  if (typeof value !== 'string') return value;
  try {
    return spec.parse(value);
  } catch (error) {
    if (!(error instanceof PareError)) throw error;
    throw new PareError('usage', error.message.replace(`--${spec.flag}`, name), {
      hint: error.hint,
      cause: error,
    });
  }
}

function globalsOfFile(config: LoadedConfig | undefined): Partial<GlobalValues> {
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config?.sections.get('common') ?? {})) {
    if (isGlobal(key)) values[key] = checkGlobal(key, value, `${config!.file}: common.${key}`);
  }
  return values;
}

function isGlobal(key: string): key is keyof GlobalValues {
  return (configurableGlobals as readonly string[]).includes(key);
}
