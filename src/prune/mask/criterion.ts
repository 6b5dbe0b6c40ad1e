/**
 * What a criterion of masks is: a pure function of one weight matrix and of what is known of its
 * inputs. Those that only score leave the choice to patterns.ts; those that solve choose for
 * themselves, since they move the numbers that stay while they do.
 */
import type { MatMul } from '../../engine/matmul.js';
import type { Random } from '../../random.js';
import type { WeightMatrix } from './matrix.js';
import type { Pattern, Scope } from './patterns.js';

interface Described {
  /** As --criterion names it. */
  readonly name: string;
  readonly summary: string;
}

/** Scores every entry, [rows, features], zero or more; what scores lowest leaves first. */
export interface ScoringCriterion extends Described {
  readonly kind: 'score';
  readonly scope: Scope;
  /** Whether it looks at the mean squares of inputs. */
  readonly needsInputs: boolean;
  /** `squares`: E[x^2] as [groups, features]. */
  score(
    matrix: WeightMatrix,
    known: { readonly squares: Float64Array | undefined; readonly random: Random },
  ): Float64Array;
}

export interface SolverInputs {
  /** E[x x'] as [groups, features, features]. */
  readonly moments: Float64Array;
  readonly pattern: Pattern;
  /** Share of entries that are zero afterwards; N:M patterns have their own. */
  readonly sparsity: number;
  /** Share of the mean of the diagonal that is added to it. */
  readonly damping: number;
  readonly blas: MatMul;
}

/** Writes the new numbers to `matrix.values`. */
export interface SolvingCriterion extends Described {
  readonly kind: 'solve';
  readonly needsInputs: true;
  /** Why it cannot make the pattern; undefined where it can. */
  whyNot(pattern: Pattern): string | undefined;
  solve(matrix: WeightMatrix, inputs: SolverInputs): Promise<void>;
}

export type MaskCriterion = ScoringCriterion | SolvingCriterion;
