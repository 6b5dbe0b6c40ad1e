/**
 * The calibration table: what was seen of every value on the samples, and ranges that the user has
 * pinned. Its text is JSON that a person can read, but for the histograms. Since those are in it,
 * one table serves every calibrator. It runs no model.
 */
import * as z from 'zod/mini';
import { didYouMean } from '../../data/did-you-mean.js';
import { messageOf, PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { CalibratedRange } from './calibrators.js';
import { countsOfText, countsToText } from './histogram-text.js';
import type { ValueStatistics } from './statistics.js';

export interface CalibrationEntry extends ValueStatistics {
  /** As far as they are known; null for a dim that is not. */
  readonly dims?: readonly (number | string | null)[] | undefined;
}

export interface CalibrationTable {
  /** Version of pare that made it. */
  readonly pare: string;
  /** The calibrator that it was made with; any other reads it too. */
  readonly calibrator: string;
  /** SHA-256 of the model that was calibrated, see model-hash.ts. */
  readonly model: string;
  /** SHA-256 of the data, where they have one. */
  readonly data?: string | undefined;
  /** By name, in the order of the graph. */
  readonly values: ReadonlyMap<string, CalibrationEntry>;
  /** Ranges that hold in place of the calibrated ones, by value name. */
  readonly pinned: ReadonlyMap<string, CalibratedRange>;
}

const format = 'pare calibration';
const formatVersion = 1;

const rangeSchema = z
  .strictObject({ min: z.number(), max: z.number() })
  .check(z.refine(({ min, max }) => min <= max, 'a range has min below max'));

const entrySchema = z
  .strictObject({
    dims: z.optional(z.array(z.union([z.number(), z.string(), z.null()]))),
    min: z.number(),
    max: z.number(),
    meanMin: z.number(),
    meanMax: z.number(),
    samples: z.int().check(z.minimum(0)),
    elements: z.number().check(z.minimum(0)),
    histogram: z.optional(
      z.strictObject({ zeros: z.number().check(z.minimum(0)), counts: z.string() }),
    ),
  })
  .check(z.refine(({ min, max }) => min <= max, 'min is above max'));

const tableSchema = z.strictObject({
  format: z.literal(format),
  version: z.literal(formatVersion),
  pare: z.string(),
  calibrator: z.string(),
  model: z.string(),
  data: z.optional(z.string()),
  pinned: z.record(z.string(), rangeSchema),
  values: z.record(z.string(), entrySchema),
});

/** The table as the text of a file; the same table gives the same text. */
export function printCalibration(table: CalibrationTable): string {
  const values: Record<string, z.input<typeof entrySchema>> = {};
  for (const [name, { histogram, dims, ...rest }] of table.values) {
    values[name] = {
      ...(dims && { dims: [...dims] }),
      ...rest,
      ...(histogram && {
        histogram: { zeros: histogram.zeros, counts: countsToText(histogram.counts) },
      }),
    };
  }
  const { pare, calibrator, model, data } = table;
  const document: z.input<typeof tableSchema> = {
    ...{ format, version: formatVersion, pare, calibrator, model },
    ...(data !== undefined && { data }),
    pinned: Object.fromEntries(table.pinned),
    values,
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

/**
 * @param file for errors
 * @throws PareError `invalid-data` for what is no table, one of another format version, or a
 *   number in it that is none
 */
export function parseCalibration(text: string, file?: string): CalibrationTable {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(`is not JSON: ${messageOf(cause)}`, file, cause);
  }
  const head = json as { format?: unknown; version?: unknown } | null;
  if (head?.format !== format) throw invalid(`is no calibration table of pare`, file);
  if (head.version !== formatVersion) {
    throw invalid(
      `has format version ${String(head.version)}, this pare reads ${formatVersion}`,
      file,
    );
  }
  const parsed = z.safeParse(tableSchema, json);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw invalid(`has a wrong entry ${path.map(String).join('.')}: ${message}`, file);
  }
  const { pare, calibrator, model, data, values, pinned } = parsed.data;
  const entries = Object.entries(values).map(([name, { histogram, ...rest }]) => {
    const { min: low, max: high } = rest;
    const counts = histogram && countsOfText(histogram.counts, name);
    const entry: CalibrationEntry = {
      ...rest,
      histogram: counts && { low, high, counts, zeros: histogram.zeros },
    };
    return [name, entry] as const;
  });
  return {
    ...{ pare, calibrator, model, data },
    values: new Map(entries),
    pinned: new Map(Object.entries(pinned)),
  };
}

/**
 * A table with these ranges pinned. Throws `usage` for a value that the table does not have.
 * @example pinRanges(table, { conv1_out: { min: 0, max: 6 } })
 */
export function pinRanges(
  table: CalibrationTable,
  ranges: Readonly<Record<string, CalibratedRange>>,
): CalibrationTable {
  const pinned = new Map(table.pinned);
  for (const [name, range] of Object.entries(ranges)) {
    if (!table.values.has(name)) {
      const close = didYouMean(name, [...table.values.keys()]);
      throw new PareError('usage', `calibration: the table has no value "${name}"`, {
        tensor: name,
        hint: close ? `did you mean "${close}"?` : `it has ${table.values.size} values`,
      });
    }
    const { min, max } = range;
    if (!Number.isFinite(min) || !Number.isFinite(max) || min > max) {
      throw new PareError('usage', `calibration: "${name}" cannot have the range ${min} to ${max}`);
    }
    pinned.set(name, range);
  }
  return { ...table, pinned };
}

/**
 * Whether a table is of this model. A table of values that the model does not have is an error;
 * one of another model with values of these names may be meant (its weights were changed since),
 * and is a remark.
 *
 * @param hash of the model, see model-hash.ts
 * @throws PareError `data-mismatch` that names the values
 */
export function checkCalibration(table: CalibrationTable, model: Model, hash: string): string[] {
  const unknown = [...table.values.keys()].filter((name) => !model.graph.find(name));
  if (unknown.length > 0) {
    const listed = unknown
      .slice(0, 3)
      .map((name) => `"${name}"`)
      .join(', ');
    throw new PareError(
      'data-mismatch',
      `calibration: ${unknown.length} of the table's ${table.values.size} values are not in the model: ${listed}`,
      { tensor: unknown[0], hint: 'make the table anew for this model with --save-calibration' },
    );
  }
  if (hash === table.model) return [];
  return [
    `the calibration table was made of another model (${table.model.slice(0, 12)}, this one is ${hash.slice(0, 12)}): nodes or weights differ, ranges may not fit`,
  ];
}

function invalid(what: string, file: string | undefined, cause?: unknown): PareError {
  return new PareError('invalid-data', `calibration: the file ${what}`, { file, cause });
}
