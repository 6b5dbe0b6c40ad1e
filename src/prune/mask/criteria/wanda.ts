/**
 * |w| * ||x||: the magnitude of what the entry adds to its output on samples, compared within each
 * output row, without any change to what stays (Sun et al. 2023, arXiv 2306.11695; the comparison
 * per row is what their ablation finds essential for language models).
 */
import type { ScoringCriterion } from '../criterion.js';

export const wanda = Object.freeze<ScoringCriterion>({
  kind: 'score',
  name: 'wanda',
  summary: '|w| times the norm of its input',
  scope: 'row',
  needsInputs: true,
  score({ values, rows, features, groups }, { squares }) {
    const norms = squares!.map(Math.sqrt);
    const rowsPerGroup = rows / groups;
    const scores = new Float64Array(values.length);
    for (let row = 0, at = 0; row < rows; row++) {
      const start = Math.floor(row / rowsPerGroup) * features;
      for (let i = 0; i < features; i++, at++) {
        scores[at] = Math.abs(values[at]!) * norms[start + i]!;
      }
    }
    return scores;
  },
});
