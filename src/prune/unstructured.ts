/**
 * Sets entries of weights to zero: single ones, N of M, or blocks. Nothing is removed: the tensors
 * keep their shapes, and ONNX Runtime multiplies zeros like other numbers, so this makes a model
 * smaller where its file is compressed, and never faster. What removes is structured and depth.
 *
 * Order of work: criteria without data choose at once. Those with data go layer by layer, layers
 * with the same input together, and look at each behind the masks of those before it, since the
 * inputs of a layer change with them; docs/pruning.md has what that costs and brings.
 */
import { createMatMul } from '../engine/matmul.js';
import { PareError, throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import { definePass, type PassContext, ReportBuilder, requireEngine } from '../pass.js';
import { createRandom } from '../random.js';
import { maskCriterion } from './mask/criteria/index.js';
import type { MaskCriterion, ScoringCriterion, SolvingCriterion } from './mask/criterion.js';
import { momentsOf, partsThatFit, squaresOf } from './mask/known-inputs.js';
import { countZeros, markGone, type WeightMatrix } from './mask/matrix.js';
import { type UnstructuredOptions, unstructuredOptions } from './mask/options.js';
import { chooseMasks, type Pattern, parsePattern, whyNotPattern } from './mask/patterns.js';
import { findTargets, readMatrix, type Target, writeMatrix } from './mask/targets.js';
import { recordMasks } from './masks.js';

const name = 'prune-unstructured';

/** A weight that will be masked, and its numbers. */
interface Layer {
  readonly target: Target;
  readonly matrix: WeightMatrix;
}

/** Options after their defaults, checked against each other. */
interface Plan {
  readonly options: UnstructuredOptions;
  readonly criterion: MaskCriterion;
  readonly pattern: Pattern;
  /** Of N:M too, for reports. */
  readonly sparsity: number;
}

/** @example await applyPass(model, unstructured, { sparsity: 0.8, criterion: 'wanda' }, { engine, samples }) */
export const unstructured = definePass({
  name,
  summary: 'Sets weights to zero, single ones or in patterns. Smaller when compressed, no faster.',
  options: unstructuredOptions,
  async run(model, options, context) {
    const report = new ReportBuilder();
    const plan = planOf(options);
    const layers = await findLayers(model, plan, report);
    const { criterion } = plan;
    if (criterion.kind === 'solve') await solve(model, layers, criterion, plan, context);
    else await score(model, layers, criterion, plan, context);
    await finish(model, layers, plan, report);
    return report;
  },
});

function planOf(options: UnstructuredOptions): Plan {
  const criterion = maskCriterion(options.criterion);
  const pattern = parsePattern(options.pattern);
  const usage = (message: string, hint: string) =>
    new PareError('usage', `${name}: ${message}`, { hint });
  if (pattern.kind === 'n-of-m') {
    if (options.sparsity !== undefined || options.scope !== undefined) {
      const given = options.sparsity === undefined ? 'scope' : 'sparsity';
      throw usage(`the pattern ${options.pattern} has a ${given} of its own`, `leave ${given} out`);
    }
  } else if (options.sparsity === undefined) {
    throw usage('no sparsity is given', 'the share of zeros, such as 80%, or a pattern N:M');
  }
  if (criterion.kind === 'solve') {
    const reason =
      criterion.whyNot(pattern) ??
      (options.scope === undefined || options.scope === 'layer'
        ? undefined
        : `${criterion.name} compares within blocks of each layer, not by ${options.scope}`);
    if (reason) throw usage(reason, 'magnitude, wanda and random can');
  }
  if (criterion.kind === 'score' && criterion.needsInputs && options.scope === 'global') {
    throw usage(
      `${criterion.name} scores do not compare over layers`,
      "they are in the units of each layer's output: use row or layer",
    );
  }
  const sparsity = pattern.kind === 'n-of-m' ? 1 - pattern.keep / pattern.of : options.sparsity!;
  return { options, criterion, pattern, sparsity };
}

async function findLayers(model: Model, plan: Plan, report: ReportBuilder): Promise<Layer[]> {
  const layers: Layer[] = [];
  for (const target of findTargets(model, plan.options, report)) {
    const matrix = await readMatrix(target);
    const reason = whyNot(target, matrix, plan, model);
    if (reason) for (const { node } of target.uses) report.skip(node, reason);
    else layers.push({ target, matrix });
  }
  return layers;
}

function whyNot(
  target: Target,
  matrix: WeightMatrix,
  plan: Plan,
  model: Model,
): string | undefined {
  const { criterion, pattern, options } = plan;
  const unfit = whyNotPattern(pattern, matrix);
  if (unfit || !criterion.needsInputs) return unfit;
  for (const { node, form } of target.uses) {
    if (node.graph !== model.graph)
      return `${criterion.name} does not see the inputs of a subgraph`;
    if ('reason' in form.inputs) return `${criterion.name}: ${form.inputs.reason}`;
  }
  if (criterion.kind === 'solve' && matrix.features > options.maxFeatures) {
    return `an output sees ${matrix.features} inputs, more than maxFeatures ${options.maxFeatures}`;
  }
  return undefined;
}

/** Layers that are looked at together: all of them, or those of one input at a time. */
function stagesOf(layers: readonly Layer[], recompute: boolean): Layer[][] {
  if (!recompute) return layers.length > 0 ? [[...layers]] : [];
  const stages = new Map<string, Layer[]>();
  for (const layer of layers) {
    const { node, form } = layer.target.uses[0]!;
    const input =
      'reason' in form.inputs ? layer.target.value.name : node.input(form.inputs.index).name;
    stages.set(input, [...(stages.get(input) ?? []), layer]);
  }
  return [...stages.values()];
}

async function score(
  model: Model,
  layers: readonly Layer[],
  criterion: ScoringCriterion,
  { options, pattern, sparsity }: Plan,
  context: PassContext,
): Promise<void> {
  const scope = options.scope ?? criterion.scope;
  const random = createRandom(context.seed);
  const stages = stagesOf(layers, criterion.needsInputs && options.recompute);
  const task = context.progress.task(name, stages.length);
  try {
    for (const [at, stage] of stages.entries()) {
      throwIfAborted(context.signal);
      const targets = stage.map(({ target }) => target);
      const squares = criterion.needsInputs
        ? await squaresOf(model, targets, context, name)
        : undefined;
      const matrices = stage.map(({ matrix }) => matrix);
      const scores = matrices.map((matrix, i) =>
        markGone(criterion.score(matrix, { squares: squares?.[i], random }), matrix.values),
      );
      const masks = chooseMasks(matrices, scores, pattern, { sparsity, scope });
      for (const [i, { target, matrix }] of stage.entries()) {
        masks[i]!.forEach((leaves, entry) => {
          if (leaves) matrix.values[entry] = 0;
        });
        await writeMatrix(target, matrix);
      }
      task.update(at + 1);
    }
  } finally {
    task.end();
  }
}

async function solve(
  model: Model,
  layers: readonly Layer[],
  criterion: SolvingCriterion,
  { options, pattern, sparsity }: Plan,
  context: PassContext,
): Promise<void> {
  const stages = stagesOf(layers, options.recompute);
  const byTarget = new Map(layers.map((layer) => [layer.target, layer]));
  const task = context.progress.task(name, layers.length);
  const blas = createMatMul(requireEngine(context, name));
  let done = 0;
  try {
    for (const stage of stages) {
      for (const part of partsThatFit(stage.map(({ target }) => target))) {
        const moments = await momentsOf(model, part, context, name);
        for (const [at, target] of part.entries()) {
          throwIfAborted(context.signal);
          const { matrix } = byTarget.get(target)!;
          const { damping } = options;
          await criterion.solve(matrix, {
            moments: moments[at]!,
            pattern,
            sparsity,
            damping,
            blas,
          });
          await writeMatrix(target, matrix);
          task.update(++done);
        }
      }
    }
  } finally {
    task.end();
    await blas.release();
  }
}

async function finish(
  model: Model,
  layers: readonly Layer[],
  { options, criterion, pattern, sparsity }: Plan,
  report: ReportBuilder,
): Promise<void> {
  let zeros = 0;
  let entries = 0;
  for (const { target, matrix } of layers) {
    const own = countZeros(matrix.values);
    zeros += own;
    entries += matrix.values.length;
    const kind = pattern.kind === 'unstructured' ? '' : ` in ${options.pattern}`;
    for (const [at, { node }] of target.uses.entries()) {
      const what = `${percent(own / matrix.values.length)} zero${kind} by ${criterion.name}`;
      if (at === 0) report.change(node, what);
      else report.follow(node, `${what}, shared`);
    }
  }
  if (layers.length === 0) return;
  const inMain = layers.filter(({ target }) => target.value.graph === model.graph);
  recordMasks(model, new Map(inMain.map(({ target }) => [target.value.name, options.pattern])));
  report.note(
    `${percent(zeros / entries)} of ${entries} weights are zero (asked: ${percent(sparsity)})`,
  );
  report.note(
    'zeros give no speed: ONNX Runtime multiplies them like other numbers; they save bytes where the file is compressed',
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
