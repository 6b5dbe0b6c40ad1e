/**
 * Makes command-line options from the zod schema of a command, and lets commander parse them.
 * Defaults are not applied here: what was given must stay apart from what was not, so that a
 * config file can come between.
 */
import { type Command, Option } from 'commander';
import type * as z from 'zod/mini';
import { globalOptions } from './global-options.js';
import { kebabCase, type OptionSpec } from './option-spec.js';
import { valueParser } from './parse-value.js';
import { type FieldInfo, fieldInfo, units } from './schema-info.js';

/** Longer lists of choices go behind the description. */
const longestPlaceholder = 32;

/**
 * One option per field of the schema.
 * @example
 * optionsFromSchema(z.object({ maxDrop: z.number().check(z.meta({ unit: 'points' })) }))
 * // [{ key: 'maxDrop', flag: 'max-drop', placeholder: 'POINTS', required: true, ... }]
 */
export function optionsFromSchema(schema: z.ZodMiniObject): OptionSpec[] {
  const specs = Object.entries(schema.shape).map(([key, field]) => specOf(key, field));
  checkUnique([...globalOptions, ...specs]);
  return specs;
}

function specOf(key: string, field: z.core.$ZodType): OptionSpec {
  const info = fieldInfo(field);
  const { meta, core } = info;
  const flag = kebabCase(key);
  if (flag.startsWith('no-')) throw new Error(`option "${key}": a name cannot start with "no"`);
  if (meta.unit && !units.includes(meta.unit)) throw new Error(`option "${key}": unknown unit`);
  const isBoolean = core._zod.def.type === 'boolean' && !info.nullable;
  const parse = valueParser(field, `--${flag}`);
  // Fails now and not at the first use of the flag when the schema has no textual form.
  const words = isBoolean ? undefined : choicesOf(info);
  const inPlaceholder = words && words.join('|').length <= longestPlaceholder;
  return Object.freeze({
    key,
    flag,
    short: meta.short,
    isBoolean,
    placeholder: isBoolean
      ? ''
      : (meta.placeholder ?? (inPlaceholder ? words.join('|') : placeholderOf(info))),
    description: meta.description ?? '',
    defaultText: isBoolean ? undefined : defaultText(info.defaultValue),
    choices: words && (!inPlaceholder || meta.placeholder) ? words : undefined,
    required: info.required,
    isList: core._zod.def.type === 'array',
    isNegative: isBoolean && info.defaultValue === true,
    hidden: meta.hidden === true,
    parse,
  });
}

function choicesOf({ core, nullable }: FieldInfo): string[] | undefined {
  const { def } = core._zod;
  let words: string[] | undefined;
  if (def.type === 'enum') words = Object.values(def.entries).map(String);
  if (def.type === 'literal') words = def.values.map(String);
  if (def.type === 'array') return choicesOf(fieldInfo(def.element));
  return nullable && words ? [...words, 'none'] : words;
}

function placeholderOf({ core, meta }: FieldInfo): string {
  const { def } = core._zod;
  switch (def.type) {
    case 'number':
      return meta.unit ? meta.unit.toUpperCase() : 'N';
    case 'array':
      return placeholderOf(fieldInfo(def.element));
    case 'tuple':
      return def.items.map((item) => placeholderOf(fieldInfo(item))).join(',');
    case 'union':
      return [...new Set(def.options.map((option) => placeholderOf(fieldInfo(option))))].join('|');
    case 'string':
      return 'TEXT';
    case 'boolean':
      return 'true|false';
    case 'literal':
      return def.values.map(String).join('|');
    case 'enum':
      return 'NAME';
    default:
      return 'JSON';
  }
}

function defaultText(value: unknown): string | undefined {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return undefined;
  if (value === null) return 'none';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function checkUnique(specs: readonly OptionSpec[]): void {
  const seen = new Set(['help', 'h', 'version', 'V']);
  for (const { flag, short } of specs) {
    for (const name of short === undefined ? [flag] : [flag, short]) {
      if (seen.has(name)) throw new Error(`option "${name}" is defined twice`);
      seen.add(name);
    }
  }
}

/** Boxed, since commander takes null for no value. */
interface Parsed {
  readonly value: unknown;
}

/** Adds the options to a commander command. */
export function addOptions(command: Command, specs: readonly OptionSpec[]): void {
  for (const spec of specs) {
    const short = spec.short ? `-${spec.short}, ` : '';
    if (spec.isBoolean) {
      // Both forms always: a config file may have set the opposite of the default.
      command.addOption(new Option(`${short}--${spec.flag}`));
      command.addOption(new Option(`--no-${spec.flag}`));
      continue;
    }
    const option = new Option(`${short}--${spec.flag} <value>`);
    option.argParser((text: string, previous?: Parsed): Parsed => {
      const value = spec.parse(text);
      const joined =
        spec.isList && Array.isArray(previous?.value) && Array.isArray(value)
          ? [...previous.value, ...value]
          : value;
      return { value: joined };
    });
    command.addOption(option);
  }
}

/** What was given on the command line, and nothing else. */
export function givenOptions(
  command: Command,
  specs: readonly OptionSpec[],
): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  for (const { key, flag, isBoolean } of specs) {
    const name = new Option(`--${flag}`).attributeName();
    if (command.getOptionValueSource(name) !== 'cli') continue;
    const value: unknown = command.getOptionValue(name);
    given[key] = isBoolean ? value : (value as Parsed).value;
  }
  return given;
}
