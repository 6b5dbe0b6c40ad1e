/**
 * Gradual pruning: while a model trains, its smallest weights leave one by one, many at first and
 * few at last, and what has left stays zero. Source: Zhu and Gupta 2017, arXiv:1710.01878, equation
 * 1: s(t) = s_f + (s_0 - s_f) (1 - t)^3. Decides which entries are zero and when; that they stay
 * zero is the step's business (see `sparse` there), and nothing here is kept from step to step, so
 * a resumed run goes on alike.
 *
 * Single entries by magnitude, or by the second-order change of the loss (LeCun et al. 1990,
 * "Optimal Brain Damage", eq. 5, with squared gradients for the Hessian), which does not depend on
 * how layers are scaled; over all layers or within each. N:M and blocks have no half-way
 * form that means anything: prune to them first, and train behind it.
 */
import type { HostTensor } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { ReportBuilder } from '../pass.js';
import { countZeros, markGone, type WeightMatrix } from '../prune/mask/matrix.js';
import { chooseMasks } from '../prune/mask/patterns.js';
import { findTargets } from '../prune/mask/targets.js';
import type { GradualOptions } from './gradual-options.js';

/** How often entries leave until then: every hundredth of a run, about. */
const leavings = 50;

/** Share of zeros at a share of the time, both in [0, 1]. */
export function cubicSparsity(start: number, end: number, time: number): number {
  return end + (start - end) * (1 - time) ** 3;
}

/**
 * Names of the weights that lose entries: those of MatMul, Gemm, Conv and other layers.
 *
 * @param candidates names of weights that are trained
 * @throws PareError `usage` for a pattern that matches no node and where no weight is left
 */
export function sparseWeights(
  model: Model,
  candidates: ReadonlySet<string>,
  { dense }: GradualOptions,
): ReadonlySet<string> {
  const report = new ReportBuilder();
  const targets = findTargets(model, { include: [], exclude: dense }, report);
  const names = targets.map(({ value }) => value.name).filter((name) => candidates.has(name));
  if (names.length > 0) return new Set(names);
  const [first] = report.skipped;
  throw new PareError('usage', 'finetune: no weight that is trained can lose entries', {
    hint: first ? `"${first.node}": ${first.reason}` : 'leave out --sparsity, or freeze less',
  });
}

/** Entries leave before these steps. */
export class GradualPruning {
  /** Before this step the last ones leave; what is there from then on has the full sparsity. */
  readonly lastStep: number;
  /** In rising order. */
  readonly #steps: readonly number[];
  readonly #weights: readonly string[];
  readonly #options: GradualOptions & { readonly sparsity: number };
  readonly #start: number;
  readonly #criterion: 'magnitude' | 'hessian';
  readonly #meanSquares: ReadonlyMap<string, string>;

  /**
   * @param weights as training finds them, by name; what is zero already counts and stays
   * @param steps of the whole run
   * @param meanSquares by weight: where the state has the mean squares of its gradients, up to a
   *   factor for all; for the criterion `hessian`
   * @throws PareError `usage` for more zeros than asked, or a criterion without what it needs
   */
  constructor(
    weights: ReadonlyMap<string, HostTensor>,
    options: GradualOptions & { readonly sparsity: number },
    steps: number,
    meanSquares: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#weights = [...weights.keys()];
    this.#options = options;
    this.#meanSquares = meanSquares;
    this.#criterion = options.sparsityCriterion ?? (meanSquares.size > 0 ? 'hessian' : 'magnitude');
    if (this.#criterion === 'hessian' && meanSquares.size === 0) {
      throw new PareError(
        'usage',
        'finetune: the sparsity criterion "hessian" looks at mean squares of gradients, and the optimizer keeps none',
        { hint: 'train with --optimizer adam, adamw or muon, or leave out --sparsity-criterion' },
      );
    }
    this.lastStep = Math.min(steps - 1, Math.max(1, Math.round(options.sparsityUntil * steps)));
    const every = Math.max(1, Math.floor(this.lastStep / leavings));
    const due: number[] = [];
    for (let step = every; step < this.lastStep; step += every) due.push(step);
    this.#steps = [...due, this.lastStep];
    this.#start = zeroShare([...weights.values()]);
    if (this.#start > options.sparsity) {
      const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
      throw new PareError(
        'usage',
        `finetune: ${percent(this.#start)} of the weights are zero already, more than ${percent(options.sparsity)}`,
        { hint: 'zeros stay: ask for more of them, or leave out --sparsity' },
      );
    }
  }

  isDue(step: number): boolean {
    return this.#steps.includes(step);
  }

  /** The first such step behind this one; undefined behind the last. */
  nextDue(step: number): number | undefined {
    return this.#steps.find((due) => due > step);
  }

  /**
   * The weights before this step with the entries at zero that have to leave by then. Zero entries
   * stay zero, whatever their score.
   *
   * @param state of the step, the weights among it
   */
  leave(step: number, state: Readonly<Record<string, HostTensor>>): Map<string, HostTensor> {
    const { sparsity, sparsityScope: scope } = this.#options;
    const share = cubicSparsity(this.#start, sparsity, step / this.lastStep);
    const matrices = this.#weights.map((name) => matrixOf(state[name]!));
    const scores = matrices.map(({ values }, at) =>
      markGone(this.#scoresOf(this.#weights[at]!, values, state), values),
    );
    const pattern = { kind: 'unstructured' } as const;
    const masks = chooseMasks(matrices, scores, pattern, { sparsity: share, scope });
    return new Map(
      this.#weights.map((name, at) => [name, withZeros(state[name]!, masks[at]!)] as const),
    );
  }

  #scoresOf(
    name: string,
    values: Float64Array,
    state: Readonly<Record<string, HostTensor>>,
  ): Float64Array {
    if (this.#criterion === 'magnitude') return values.map(Math.abs);
    const squares = state[this.#meanSquares.get(name)!]!.data as Float32Array;
    return values.map((w, at) => w * w * squares[at]!);
  }
}

/** A copy that is zero where the other is. */
export function zeroLike(tensor: HostTensor, { data }: HostTensor): HostTensor {
  return withZeros(
    tensor,
    Uint8Array.from(data as Float32Array, (weight) => Number(weight === 0)),
  );
}

function withZeros({ dims, data }: HostTensor, gone: Uint8Array): HostTensor {
  const kept = (data as Float32Array).map((weight, at) => (gone[at] ? 0 : weight));
  return hostTensor('float', dims, kept);
}

/** Entries in their order: neither scope looks at rows. */
function matrixOf({ data }: HostTensor): WeightMatrix {
  const values = Float64Array.from(data as Float32Array);
  return { groups: 1, rows: 1, features: values.length, channels: values.length, values };
}

function zeroShare(tensors: readonly HostTensor[]): number {
  let zeros = 0;
  let all = 0;
  for (const { data } of tensors) {
    zeros += countZeros(data as Float32Array);
    all += data.length;
  }
  return zeros / Math.max(1, all);
}
