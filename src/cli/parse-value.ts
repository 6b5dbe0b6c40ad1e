/**
 * From the text of a flag to the value that its schema takes: numbers with their units, lists,
 * choices, JSON. Ranges are the schema's business and are checked later.
 */
import * as z from 'zod/mini';
import { didYouMean } from '../data/did-you-mean.js';
import { PareError } from '../errors.js';
import { fieldInfo, type Unit } from './schema-info.js';

type Parse = (text: string) => unknown;

/**
 * A function that reads texts for the schema; `name` is how errors call the option.
 * Throws PareError `usage` for a text that cannot be meant for it.
 *
 * @example valueParser(z.array(z.int()), '--sizes')('224,256') // [224, 256]
 */
export function valueParser(field: z.core.$ZodType, name: string): Parse {
  const { core, meta, nullable } = fieldInfo(field);
  const parse = coreParser(core, meta.unit, name);
  const isText = core._zod.def.type === 'string';
  return nullable && !isText ? (text) => (text === 'none' ? null : parse(text)) : parse;
}

function coreParser(core: z.core.$ZodTypes, unit: Unit | undefined, name: string): Parse {
  const { def } = core._zod;
  switch (def.type) {
    case 'string':
      return (text) => text;
    case 'number':
      return (text) => parseNumber(text, unit, name);
    case 'boolean':
      return (text) => parseChoice(text, [true, false], name);
    case 'enum':
      return (text) => parseChoice(text, Object.values(def.entries), name);
    case 'literal':
      return (text) => parseChoice(text, def.values, name);
    case 'array':
      return (text) => parseList(text, valueParser(def.element, name), name);
    case 'tuple':
      return (text) => {
        let index = 0;
        const parseItem: Parse = (item) => {
          const schema = def.items[index++] ?? def.rest;
          return schema ? valueParser(schema, name)(item) : item;
        };
        return parseList(text, parseItem, name);
      };
    case 'object':
    case 'record':
    case 'map':
    case 'any':
    case 'unknown':
      return (text) => parseJson(text, name);
    case 'union':
      return (text) => parseUnion(text, def.options, core, name);
    default:
      throw new Error(`${name}: an option cannot have the schema type "${def.type}"`);
  }
}

/** Factor per suffix; lower case, without spaces. */
const suffixes: Readonly<Record<Unit, Readonly<Record<string, number>>>> = Object.freeze({
  points: { '': 1, '%': 1, points: 1, point: 1 },
  share: { '': 1, '%': 0.01 },
  bytes: {
    ...{ '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, k: 1e3, m: 1e6, g: 1e9 },
    ...{ kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 },
  },
  ms: { '': 1, ms: 1, s: 1000 },
  dB: { '': 1, db: 1 },
});

const unitExamples: Readonly<Record<Unit, string>> = Object.freeze({
  points: '0.5 or 0.5%',
  share: '25% or 0.25',
  bytes: '2500000, 2.5MB or 2MiB',
  ms: '12, 12ms or 1.5s',
  dB: '30 or 30dB',
});

function parseNumber(text: string, unit: Unit | undefined, name: string): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(.*)$/i.exec(text.trim());
  const factors: Readonly<Record<string, number>> = unit ? suffixes[unit] : { '': 1 };
  const suffix = match?.[2]?.toLowerCase() ?? '';
  if (!match || !Object.hasOwn(factors, suffix)) {
    throw new PareError(
      'usage',
      `${name}: "${text}" is not a number${unit ? ' of this kind' : ''}`,
      {
        hint: unit ? `for example ${unitExamples[unit]}` : undefined,
      },
    );
  }
  const factor = factors[suffix]!;
  const value = Number(match[1]);
  // 7 % is 0.07 and not 0.07000000000000001.
  return factor === 0.01 ? value / 100 : value * factor;
}

function parseChoice(text: string, values: readonly unknown[], name: string): unknown {
  const found = values.find((value) => String(value) === text);
  if (found !== undefined) return found;
  const words = values.map(String);
  const close = didYouMean(text, words);
  throw new PareError('usage', `${name}: "${text}" is not one of ${words.join(', ')}`, {
    hint: close ? `did you mean ${close}?` : undefined,
  });
}

/** Separated by commas, or a JSON array where items hold commas; an empty text is an empty list. */
function parseList(text: string, parseItem: Parse, name: string): unknown[] {
  const trimmed = text.trim();
  if (trimmed === '') return [];
  if (!trimmed.startsWith('[')) return trimmed.split(',').map((item) => parseItem(item.trim()));
  const list = parseJson(trimmed, name);
  return (list as unknown[]).map((item) => (typeof item === 'string' ? parseItem(item) : item));
}

function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PareError('usage', `${name}: not valid JSON: ${text}`, {
      hint: 'quote it for the shell, for example \'{"key":1}\'',
      cause,
    });
  }
}

/** The first alternative that takes the text and accepts what it read. */
function parseUnion(
  text: string,
  alternatives: readonly z.core.$ZodType[],
  core: z.core.$ZodType,
  name: string,
): unknown {
  for (const schema of alternatives) {
    try {
      const value = valueParser(schema, name)(text);
      if (z.safeParse(schema, value).success) return value;
    } catch (error) {
      if (!(error instanceof PareError)) throw error;
    }
  }
  throw new PareError('usage', `${name}: "${text}" is not ${describeType(core)}`);
}

/** What a schema takes, in words. @example 'a whole number or one of auto, none' */
export function describeType(field: z.core.$ZodType): string {
  const { core, meta, nullable } = fieldInfo(field);
  const words = describeCore(core, meta.unit);
  return nullable ? `${words} or none` : words;
}

function describeCore(core: z.core.$ZodTypes, unit: Unit | undefined): string {
  const { def } = core._zod;
  switch (def.type) {
    case 'string':
      return 'a text';
    case 'number':
      if (unit) return `a number such as ${unitExamples[unit]}`;
      return 'format' in def && String(def.format).includes('int') ? 'a whole number' : 'a number';
    case 'boolean':
      return 'true or false';
    case 'enum':
      return oneOf(Object.values(def.entries));
    case 'literal':
      return oneOf(def.values);
    case 'array':
      return `a list, each ${describeType(def.element)}`;
    case 'tuple':
      return `a list of ${def.items.length}`;
    case 'union':
      return def.options.map(describeType).join(' or ');
    default:
      return 'a JSON object';
  }
}

const oneOf = (values: readonly unknown[]) =>
  values.length === 1 ? String(values[0]) : `one of ${values.map(String).join(', ')}`;
