/**
 * Reads zod schemas: what lies under optional, default and nullable, and what a field says of
 * itself with `z.describe` or `z.meta`. Knows nothing of flags.
 */
import * as z from 'zod/mini';

/** What `z.meta({...})` of an option may say, beside `description`. */
export interface OptionMeta {
  readonly description?: string | undefined;
  /**
   * How a number is written:
   * - 'points': difference of two percentages, '0.5' or '0.5%' is 0.5
   * - 'share': part of a whole, '25%' or '0.25' is 0.25
   * - 'bytes': '2500000', '2.5MB' (decimal) or '2MiB' (binary)
   * - 'ms': '12', '12ms' or '1.5s'
   * - 'dB': '30' or '30dB'
   */
  readonly unit?: Unit | undefined;
  /** What stands for the value in help: FILE, PATH, N. */
  readonly placeholder?: string | undefined;
  /** One letter for a short flag. */
  readonly short?: string | undefined;
  /** Understood, but left out of help and documentation. */
  readonly hidden?: boolean | undefined;
}

export const units = Object.freeze(['points', 'share', 'bytes', 'ms', 'dB'] as const);
export type Unit = (typeof units)[number];

export interface FieldInfo {
  /** The schema without its wrappers. */
  readonly core: z.core.$ZodTypes;
  readonly meta: OptionMeta;
  /** What is taken when nothing is given; undefined for none. */
  readonly defaultValue: unknown;
  /** Something must be given. */
  readonly required: boolean;
  readonly nullable: boolean;
}

export function fieldInfo(field: z.core.$ZodType): FieldInfo {
  let schema = field as z.core.$ZodTypes;
  let meta: OptionMeta = {};
  let defaultValue: unknown;
  let nullable = false;
  for (;;) {
    // What an outer wrapper says counts more than what it wraps.
    meta = { ...z.globalRegistry.get(schema), ...meta };
    const { def } = schema._zod;
    switch (def.type) {
      case 'default':
      case 'prefault':
        defaultValue ??= def.defaultValue;
        break;
      case 'nullable':
        nullable = true;
        break;
      case 'optional':
      case 'nonoptional':
      case 'readonly':
        break;
      case 'pipe':
        schema = def.in as z.core.$ZodTypes;
        continue;
      default:
        // A list may leave it to its items to say what they are.
        if (def.type === 'array') meta = { ...fieldInfo(def.element).meta, ...meta };
        return { core: schema, meta, defaultValue, required: isRequired(field), nullable };
    }
    schema = def.innerType as z.core.$ZodTypes;
  }
}

const isRequired = (field: z.core.$ZodType) => !z.safeParse(field, undefined).success;
