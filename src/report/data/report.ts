/**
 * The data of a report: what a command found, as one versioned JSON document. The HTML page shows
 * nothing that is not in here, and other faces (a web app) can show the same sections from it.
 * Every part but the head is null where the command has none.
 */
import * as z from 'zod/mini';
import { messageOf, PareError } from '../../errors.js';
import { benchRow, modelSize, profile } from './cost.js';
import { diff } from './diff.js';
import { explanation } from './explanation.js';
import { activation, layers, layerWeights, sensitivity, widths } from './layers.js';
import { provenance } from './provenance.js';
import { confusion, evaluationRow, flips } from './quality.js';
import { candidate, skipped, step } from './recipe.js';
import { modelFacts, summary } from './summary.js';
import { training } from './training.js';

export const reportKind = 'pare report';

export const reportSchema = z.object({
  schema: z.literal(1),
  kind: z.literal(reportKind),
  title: z.string(),
  provenance,
  /** The first is what the others are compared with. */
  models: z.array(modelFacts),
  summary,
  recipe: z.nullable(z.array(step)),
  candidates: z.nullable(z.array(candidate)),
  evaluations: z.nullable(z.array(evaluationRow)),
  bench: z.nullable(z.array(benchRow)),
  size: z.nullable(z.array(modelSize)),
  profiles: z.nullable(z.array(profile)),
  layers: z.nullable(layers),
  sensitivity: z.nullable(sensitivity),
  weights: z.nullable(z.array(layerWeights)),
  activations: z.nullable(z.array(activation)),
  widths: z.nullable(widths),
  explanation: z.nullable(explanation),
  training: z.nullable(training),
  confusion: z.nullable(confusion),
  flips: z.nullable(flips),
  diff: z.nullable(diff),
  skipped,
});

/** Plain JSON. */
export type Report = z.output<typeof reportSchema>;

/** The parts that a report may lack. */
export type ReportPart = {
  [Key in keyof Report]: null extends Report[Key] ? Key : never;
}[keyof Report];

/**
 * Reads the JSON of a report. Throws `invalid-data` for text that is none, or one of a schema that
 * this version does not know.
 */
export function parseReport(text: string, file = 'report'): Report {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new PareError('invalid-data', `report: no JSON: ${messageOf(cause)}`, { file, cause });
  }
  const parsed = z.safeParse(reportSchema, document);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new PareError(
    'invalid-data',
    `report: "${issue.path.join('.')}" is missing or wrong: ${issue.message}`,
    { file, hint: 'this version reads reports with "schema": 1' },
  );
}

/** One line per document: pages embed it. Throws for numbers that JSON does not have. */
export function printReport(report: Report): string {
  return JSON.stringify(report, (key, value) => {
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new TypeError(`report: "${key}" is ${value}, which JSON cannot say`);
    }
    return value;
  });
}
