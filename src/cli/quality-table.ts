/**
 * The table that shows a result beside its original, one row each.
 */
import type { Evaluation } from '../measure/evaluation.js';
import { qualityCells, qualityColumns } from '../report/measurements.js';
import { table } from '../report/table.js';
import { tableSettings } from './open.js';
import type { Output } from './output.js';

/** @param evaluations the original first */
export function qualityTable(evaluations: readonly Evaluation[], output: Output): string {
  const [reference] = evaluations;
  return table(
    [{ header: '' }, ...qualityColumns(reference!)],
    evaluations.map((each) => [each.model, ...qualityCells(each, reference!)]),
    tableSettings(output),
  );
}
