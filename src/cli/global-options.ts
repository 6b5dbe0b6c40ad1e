/**
 * The flags that every command takes. A plain table without zod: it is read at every start.
 */
import { PareError } from '../errors.js';
import type { OptionSpec } from './option-spec.js';

/** What the flags of every command were set to. */
export interface GlobalValues {
  /** One JSON document on stdout instead of text. */
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Threads of the runtime; undefined leaves the choice to the engine. */
  readonly threads: number | undefined;
  /** Seed of everything random. */
  readonly seed: number;
  readonly force: boolean;
  /** Say what would be done and write nothing. */
  readonly dryRun: boolean;
  /** Undefined: as the terminal and the environment say. */
  readonly color: boolean | undefined;
}

export const globalDefaults: GlobalValues = Object.freeze({
  json: false,
  quiet: false,
  verbose: false,
  threads: undefined,
  seed: 0,
  force: false,
  dryRun: false,
  color: undefined,
});

/** The ones that a config file may set, in its `common` section. */
export const configurableGlobals: readonly (keyof GlobalValues)[] = Object.freeze([
  'threads',
  'seed',
  'force',
  'quiet',
  'verbose',
  'color',
]);

export const globalOptions: readonly OptionSpec[] = Object.freeze([
  flag('json', 'one JSON document on stdout, with "schema": 1, instead of text'),
  flag('quiet', 'no report and no progress on stderr; warnings and errors remain', { short: 'q' }),
  flag('verbose', 'more about what is being done; errors with stack and cause', { short: 'v' }),
  integer('threads', 'threads of the runtime (default: chosen by the runtime)', 1),
  integer('seed', 'seed of everything random', 0, '0'),
  flag('force', 'replace output files that exist'),
  flag('dryRun', 'say what would be done, write nothing', { flag: 'dry-run' }),
  flag('color', 'no colour; --color forces it (default: if the terminal takes it)', {
    isNegative: true,
  }),
  {
    ...flag('config', 'config file (default: pare.config.json, .js or .mjs here)'),
    isBoolean: false,
    placeholder: 'FILE',
  },
  flag('printConfig', 'print the options as merged from defaults, config file and flags', {
    flag: 'print-config',
  }),
]);

function flag(key: string, description: string, more: Partial<OptionSpec> = {}): OptionSpec {
  return Object.freeze({
    key,
    flag: key,
    isBoolean: true,
    placeholder: '',
    description,
    required: false,
    isList: false,
    isNegative: false,
    hidden: false,
    parse: (text: string) => text,
    ...more,
  });
}

function integer(key: string, description: string, min: number, defaultText?: string): OptionSpec {
  return {
    ...flag(key, description),
    isBoolean: false,
    placeholder: 'N',
    defaultText,
    parse: (text) => checkInteger(`--${key}`, Number(text.trim() || Number.NaN), min, text),
  };
}

/** The checks of `threads` and `seed`, for a value of a config file too. Throws `usage`. */
export function checkInteger(name: string, value: unknown, min: number, shown = value): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return value;
  throw new PareError('usage', `${name}: expected a whole number of at least ${min}, got ${shown}`);
}

/** Checks a value that a config file gives to a global option. Throws `usage`. */
export function checkGlobal(key: keyof GlobalValues, value: unknown, name: string): unknown {
  if (key === 'threads') return checkInteger(name, value, 1);
  if (key === 'seed') return checkInteger(name, value, 0);
  if (typeof value === 'boolean') return value;
  throw new PareError('usage', `${name}: expected true or false, got ${JSON.stringify(value)}`);
}
