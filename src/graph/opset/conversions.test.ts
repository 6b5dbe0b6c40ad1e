import { expect, test } from 'vitest';
import { conversions } from './conversions.js';
import { minimumIrVersion } from './ir-version.js';
import { compatibleVersions, isStandardOperator, newestOpset, removedAt } from './versions.js';

test('every version of an operator is in one table only', () => {
  const twice = conversions.filter(({ op, since }) => compatibleVersions(op)?.includes(since));
  expect(twice.map(({ op, since }) => `${op} ${since}`)).toEqual([]);
});

test('conversions are for operators and versions that exist', () => {
  const strange = conversions.filter(
    ({ op, since }) => !isStandardOperator(op) || since < 2 || since > newestOpset,
  );
  expect(strange.map(({ op, since }) => `${op} ${since}`)).toEqual([]);
});

test('an operator that is gone has a conversion on its way out', () => {
  const gone = [...new Set(conversions.map(({ op }) => op))].filter((op) => removedAt(op));
  expect(gone.length).toBeGreaterThan(5);
  for (const op of gone) {
    expect(
      conversions.some((row) => row.op === op && row.since === removedAt(op)),
      op,
    ).toBe(true);
  }
});

test.each([
  [7, 3],
  [9, 4],
  [13, 7],
  [17, 8],
  [21, 10],
  [26, 13],
])('opset %d needs IR %d', (opset, ir) => {
  expect(minimumIrVersion(opset)).toBe(ir);
});
