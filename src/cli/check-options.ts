/**
 * Checks merged options against their schema and says what is wrong with them by the name that the
 * user knows: the flag, or the key and file of the config.
 */
import * as z from 'zod/mini';
import { PareError } from '../errors.js';
import { describeType } from './parse-value.js';

/**
 * The options with defaults filled in. `nameOf` says how errors call an option.
 * Throws PareError `usage` for the first thing that is wrong.
 */
export function checkOptions<Schema extends z.ZodMiniObject>(
  schema: Schema,
  values: Readonly<Record<string, unknown>>,
  nameOf: (key: string) => string,
): z.output<Schema> {
  const result = z.safeParse(schema, values);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const key = issue.path[0];
  // A check of the options as a whole, such as "either this or that".
  if (key === undefined) throw new PareError('usage', issue.message);
  const name = nameOf(String(key));
  if (issue.path.length === 1 && values[String(key)] === undefined) {
    throw new PareError('usage', `${name} is required`);
  }
  const inner = issue.path.slice(1).map((part) => `[${String(part)}]`);
  const got = valueAt(values, issue.path);
  const field = schema.shape[String(key)];
  throw new PareError('usage', `${name}${inner.join('')}: ${explain(issue, field, got)}`);
}

/** zod/mini carries no messages of its own: "Invalid input" is all it says. */
function explain(
  issue: z.core.$ZodIssue,
  field: z.core.$ZodType | undefined,
  got: unknown,
): string {
  const shown = JSON.stringify(got) ?? String(got);
  switch (issue.code) {
    case 'too_small':
      return `must be ${bound('at least', 'more than', issue.inclusive, issue.minimum, issue.origin)}, got ${shown}`;
    case 'too_big':
      return `must be ${bound('at most', 'less than', issue.inclusive, issue.maximum, issue.origin)}, got ${shown}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}, got ${shown}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}, got ${shown}`;
    case 'unrecognized_keys':
      return `unknown key "${issue.keys[0]}"`;
    case 'custom':
    case 'invalid_format':
      if (issue.message !== 'Invalid input') return issue.message;
      return `${shown} is not a valid value`;
    default: {
      if (issue.message !== 'Invalid input') return issue.message;
      const whole = issue.path.length === 1 && field !== undefined;
      return whole ? `expected ${describeType(field)}, got ${shown}` : `wrong value ${shown}`;
    }
  }
}

function bound(
  inclusiveWords: string,
  exclusiveWords: string,
  inclusive: boolean | undefined,
  limit: number | bigint,
  origin: string,
): string {
  const words = inclusive === false ? exclusiveWords : inclusiveWords;
  const unit = origin === 'array' ? ' items long' : origin === 'string' ? ' characters long' : '';
  return `${words} ${limit}${unit}`;
}

function valueAt(values: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    values,
  );
}
