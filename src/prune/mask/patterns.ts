/**
 * Which sets of entries can leave together, and how many of them do: single entries, N of M along
 * the input axis, or blocks of n rows and m columns. Works on scores; where they come from does
 * not matter here.
 *
 * N:M keeps at most N of every M neighbours, the form that NVIDIA's sparse tensor cores take for
 * 2:4 (arXiv 2104.08378). Blocks score the mean of their entries, as the "AVG" pooling of the
 * TensorFlow Model Optimization Toolkit does; those at the edge are smaller.
 */
import { PareError } from '../../errors.js';
import { goneScore, shareOut, takeLowest, type WeightMatrix } from './matrix.js';

export type Scope = 'global' | 'layer' | 'row';

export type Pattern =
  | { readonly kind: 'unstructured' }
  | { readonly kind: 'n-of-m'; readonly keep: number; readonly of: number }
  | { readonly kind: 'block'; readonly rows: number; readonly columns: number };

/**
 * 'unstructured', '2:4' or '4x1'. Throws `usage` for anything else.
 * @example parsePattern('2:4') // { kind: 'n-of-m', keep: 2, of: 4 }
 */
export function parsePattern(text: string): Pattern {
  const found = /^(\d+)([:x])(\d+)$/.exec(text);
  const [a, b] = [Number(found?.[1]), Number(found?.[3])];
  if (text === 'unstructured') return { kind: 'unstructured' };
  if (found?.[2] === ':' && a > 0 && a < b) return { kind: 'n-of-m', keep: a, of: b };
  if (found?.[2] === 'x' && a > 0 && b > 0 && a * b > 1)
    return { kind: 'block', rows: a, columns: b };
  throw new PareError('usage', `prune: "${text}" is no pattern`, {
    hint: 'unstructured, N:M such as 2:4 (2 of 4 stay), or blocks of rows x columns such as 4x1',
  });
}

/** Why a weight cannot have the pattern; undefined where it can. */
export function whyNotPattern(pattern: Pattern, { channels }: WeightMatrix): string | undefined {
  if (pattern.kind !== 'n-of-m' || channels % pattern.of === 0) return undefined;
  return `its input axis has ${channels} entries, no multiple of ${pattern.of}`;
}

/** Entries or blocks of one matrix that leave as a whole. */
interface Cells {
  readonly scores: Float64Array;
  readonly perRow: number;
  /** Cell of an entry. */
  cellOf(row: number, feature: number): number;
}

function cellsOf(pattern: Pattern, { rows, features }: WeightMatrix, scores: Float64Array): Cells {
  if (pattern.kind !== 'block') {
    return { scores, perRow: features, cellOf: (row, feature) => row * features + feature };
  }
  const perRow = Math.ceil(features / pattern.columns);
  const cellOf = (row: number, feature: number) =>
    Math.floor(row / pattern.rows) * perRow + Math.floor(feature / pattern.columns);
  const sums = new Float64Array(Math.ceil(rows / pattern.rows) * perRow);
  const sizes = new Float64Array(sums.length);
  const alive = new Uint8Array(sums.length);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let feature = 0; feature < features; feature++, at++) {
      const cell = cellOf(row, feature);
      sizes[cell]!++;
      if (scores[at] === goneScore) continue;
      sums[cell]! += scores[at]!;
      alive[cell] = 1;
    }
  }
  const means = sums.map((sum, cell) => (alive[cell] ? sum / sizes[cell]! : goneScore));
  return { scores: means, perRow, cellOf };
}

/**
 * The masks of matrices by their scores, 1 where an entry leaves. Scope 'global' compares over all
 * of them, 'layer' within each, 'row' within each row; N:M compares M neighbours only.
 */
export function chooseMasks(
  matrices: readonly WeightMatrix[],
  scores: readonly Float64Array[],
  pattern: Pattern,
  { sparsity, scope }: { readonly sparsity: number; readonly scope: Scope },
): Uint8Array[] {
  if (pattern.kind === 'n-of-m') {
    return matrices.map((_, at) => chooseOfM(scores[at]!, pattern.keep, pattern.of));
  }
  const cells = matrices.map((matrix, at) => cellsOf(pattern, matrix, scores[at]!));
  const chosen = chooseCells(cells, sparsity, scope);
  return matrices.map(({ rows, features }, at) => {
    if (pattern.kind === 'unstructured') return chosen[at]!;
    // What is zero in a block that stays is still masked.
    const mask = Uint8Array.from(scores[at]!, (score) => Number(score === goneScore));
    for (let row = 0, entry = 0; row < rows; row++) {
      for (let feature = 0; feature < features; feature++, entry++) {
        if (chosen[at]![cells[at]!.cellOf(row, feature)]) mask[entry] = 1;
      }
    }
    return mask;
  });
}

function chooseCells(cells: readonly Cells[], sparsity: number, scope: Scope): Uint8Array[] {
  if (scope === 'global') {
    const total = cells.reduce((sum, { scores }) => sum + scores.length, 0);
    const all = new Float64Array(total);
    let start = 0;
    const starts = cells.map(({ scores }) => {
      all.set(scores, start);
      start += scores.length;
      return start - scores.length;
    });
    const chosen = new Uint8Array(total);
    takeLowest(all, 0, total, Math.round(sparsity * total), chosen);
    return cells.map(({ scores }, at) => chosen.subarray(starts[at]!, starts[at]! + scores.length));
  }
  return cells.map(({ scores, perRow }) => {
    const chosen = new Uint8Array(scores.length);
    const size = scope === 'row' ? perRow : scores.length;
    const sizes = new Array<number>(size === 0 ? 0 : scores.length / size).fill(size);
    shareOut(sizes, sparsity).forEach((count, at) => {
      takeLowest(scores, at * size, (at + 1) * size, count, chosen);
    });
    return chosen;
  });
}

/** Features are whole runs of the input axis, which M divides, so neighbours never cross a run. */
function chooseOfM(scores: Float64Array, keep: number, of: number): Uint8Array {
  const mask = new Uint8Array(scores.length);
  for (let at = 0; at < scores.length; at += of) takeLowest(scores, at, at + of, of - keep, mask);
  return mask;
}
