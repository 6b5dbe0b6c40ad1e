/**
 * What can pay on which runtime: the candidates that `optimize` makes and measures per target.
 * The list is knowledge (kernels of onnxruntime 1.30, measured on x64 with VNNI and in Chromium);
 * what is kept is decided by measurement alone.
 */
import type { Target } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { preparingPasses } from './preparing.js';
import type { Recipe, Step } from './recipe.js';

export interface CandidateSpec {
  readonly name: string;
  /** Why it is worth a try on this target, for the report. */
  readonly why: string;
  readonly recipe: Recipe;
  /** What to do when the candidate loses too much; undefined where leaving nodes out cannot help. */
  readonly relax?: Relaxable;
}

export interface Relaxable {
  /** The steps whose nodes may be left in float, one by one. */
  readonly steps: readonly number[];
  /** What the nodes left in float get instead, where the recipe has nothing for them yet. */
  readonly rest?: Step;
  /** What is done to a node: left out, or (static) given 16-bit activations. Default exclude. */
  readonly by?: 'exclude' | 'wide';
}

const simplified = { pass: 'simplify', options: {} } as const;
const dynamic = (options: Record<string, unknown> = {}) => ({ pass: 'dynamic', options });
const storage = (options: Record<string, unknown>) => ({ pass: 'weight-only', options });

// What becomes of MatMul is for the candidates to decide.
const staticInt8 = { pass: 'static', options: { matMul: 'float' } } as const;

/** Beside the one that leaves nodes float by estimate: equal to it where the estimate leaves none. */
const staticEverywhere: CandidateSpec = {
  name: 'static int8 everywhere',
  why: 'integers also where the estimate says that float is faster: smaller, and estimates err',
  recipe: [simplified, { pass: 'static', options: { matMul: 'float', placement: 'all' } }],
  relax: { steps: [1], rest: { pass: 'weight-only', options: { form: 'cast' } } },
};

const baseline: CandidateSpec = {
  name: 'simplify',
  why: 'folding and dead code only: the same numbers, fewer nodes',
  recipe: [simplified],
};

const halfStorage: CandidateSpec = {
  name: 'float16 storage',
  why: 'half the file, folded back to float32 at load',
  recipe: [simplified, { pass: 'float16', options: { mode: 'storage' } }],
};

const candidates: Readonly<Record<Target, readonly CandidateSpec[]>> = Object.freeze({
  node: [
    baseline,
    {
      name: 'static int8',
      why: 'Conv and Gemm on integer kernels with calibrated activations (2 to 4 times float with VNNI)',
      recipe: [simplified, staticInt8],
      relax: { steps: [1], rest: storage({ form: 'cast' }) },
    },
    staticEverywhere,
    {
      name: 'static + dynamic int8',
      why: 'Conv and Gemm static, MatMul and LSTM dynamic, what is left stored as int8',
      recipe: [simplified, staticInt8, dynamic(), storage({ form: 'cast' })],
      relax: { steps: [1, 2] },
    },
    {
      name: 'equalized static int8',
      why: 'channels brought to one range first: for networks whose static form loses too much',
      recipe: [simplified, { pass: 'equalize', options: {} }, staticInt8],
      relax: { steps: [2], rest: storage({ form: 'cast' }) },
    },
    {
      name: 'dynamic int8',
      why: 'MatMul, Gemm and LSTM on integer kernels (3 to 4 times float with VNNI)',
      recipe: [simplified, dynamic()],
      relax: { steps: [1], rest: storage({ form: 'cast' }) },
    },
    {
      name: 'dynamic int8 + stored int8',
      why: 'the same, and the weights of all other layers as int8, folded to float at load',
      recipe: [simplified, dynamic(), storage({ form: 'cast' })],
      relax: { steps: [1] },
    },
    {
      name: 'dynamic int8 with Conv',
      why: 'dense convolutions as ConvInteger too (1.2 times float on large maps)',
      recipe: [simplified, dynamic({ conv: true })],
      relax: { steps: [1], rest: storage({ form: 'cast' }) },
    },
    {
      name: 'stored int8',
      why: 'a quarter of the file at the speed of float: weights are folded back at load',
      recipe: [simplified, storage({ form: 'cast' })],
      relax: { steps: [1] },
    },
    {
      name: 'weight-only int8',
      why: 'DequantizeLinear before MatMul becomes an integer kernel on CPUs',
      recipe: [simplified, storage({ form: 'dequantize' })],
      relax: { steps: [1] },
    },
    halfStorage,
  ],
  // DequantizeLinear + MatMul would become MatMulNBits, which has no fast kernel in WASM: LeNet at
  // batch 1 is 5 times slower as a whole, MobileNetV2 1.1 times. Only forms that fold away are
  // candidates; those run at the speed of float (0.95 to 1.04 times on six models).
  // Speeds are CPU time on one thread against float, onnxruntime-web 1.30 in Node on x64.
  wasm: [
    baseline,
    {
      name: 'static int8',
      why: 'dense convolutions on integer kernels (1.3 to 2.5 times float; depthwise ones are slower)',
      recipe: [simplified, staticInt8],
      relax: { steps: [1], rest: storage({ form: 'cast' }) },
    },
    staticEverywhere,
    {
      name: 'dynamic int8',
      why: 'MatMul on integer kernels (up to 2.5 times float from 16 rows on, slower for a single row)',
      recipe: [simplified, dynamic()],
      relax: { steps: [1], rest: storage({ form: 'cast' }) },
    },
    {
      name: 'dynamic int8 with Conv',
      why: 'dense convolutions on integer kernels (1.2 to 2 times float for whole networks)',
      recipe: [simplified, dynamic({ conv: true })],
      relax: { steps: [1], rest: storage({ form: 'cast' }) },
    },
    {
      name: 'stored int8',
      why: 'a quarter of the download at the speed of float: weights are folded back at load',
      recipe: [simplified, storage({ form: 'cast' })],
      relax: { steps: [1] },
    },
    halfStorage,
  ],
  webgpu: [],
});

/** Throws `unsupported` for a target without candidates. */
export function candidatesFor(target: Target): readonly CandidateSpec[] {
  const specs = candidates[target];
  if (specs.length > 0) return specs;
  throw new PareError(
    'unsupported',
    `optimize: nothing is known to pay on the target ${target} yet`,
    {
      hint: `targets with candidates: ${Object.keys(candidates)
        .filter((name) => candidates[name as Target].length > 0)
        .join(', ')}`,
    },
  );
}

/** The passes whose weights meet activations of 8 bits in integer kernels. */
const integerPasses: ReadonlySet<string> = new Set(['static', 'dynamic']);

/** The candidates with integers of 7 bits for weights, which no kernel's sums overflow. */
export function withReducedRange(specs: readonly CandidateSpec[]): readonly CandidateSpec[] {
  return specs.map((spec) => ({
    ...spec,
    recipe: spec.recipe.map((step) =>
      integerPasses.has(step.pass)
        ? { ...step, options: { ...step.options, reduceRange: true } }
        : step,
    ),
  }));
}

/** Whether sums of the recipe's kernels can overflow where the CPU adds them in 16 bits. */
export function hasFullRange(recipe: Recipe): boolean {
  return recipe.some(({ pass, options }) => integerPasses.has(pass) && !options.reduceRange);
}

/**
 * Every candidate, and every candidate again behind a cut: what a smaller model gains, its integers
 * gain too. The last simplification runs after the cut, since the first takes equal tensors apart.
 *
 * @param cut see roundSteps
 */
export function withPruning(
  specs: readonly CandidateSpec[],
  cut: readonly Step[],
): readonly CandidateSpec[] {
  const word = cut.some(({ pass }) => pass === 'finetune') ? 'pruned + trained' : 'pruned';
  const pruned = specs.map(({ name, why, recipe: [, ...rest], relax }): CandidateSpec => {
    const shifted = relax && {
      relax: { ...relax, steps: relax.steps.map((step) => step + cut.length - 1) },
    };
    const isPlain = rest.length === 0;
    return {
      name: isPlain ? word : `${word} + ${name}`,
      why: isPlain ? 'fewer channels, heads and neurons: less work on every runtime' : why,
      recipe: [...cut, ...rest],
      ...shifted,
    };
  });
  return [...specs, ...pruned];
}

/** What the user wants the model to take and give, whatever is done inside. */
export interface Borders {
  /** Options of quantize-input: the model takes raw bytes. */
  readonly input?: Readonly<Record<string, unknown>> | undefined;
  /** Options of quantize-output: the model gives integers. */
  readonly output?: Readonly<Record<string, unknown>> | undefined;
}

const borderPasses: ReadonlySet<string> = new Set([
  simplified.pass,
  'quantize-input',
  'fuse-input',
  'quantize-output',
]);

/** Steps that all candidates have in common, and that tell nothing about one of them. */
export function isCommonStep({ pass }: Step): boolean {
  return borderPasses.has(pass);
}

/** The candidates with integers at the model's borders: the input right after what prepares the
 * model, so that what follows sees the weights it folds into. */
export function withBorders(
  specs: readonly CandidateSpec[],
  { input, output }: Borders,
): readonly CandidateSpec[] {
  const before: Step[] = input ? [{ pass: 'quantize-input', options: input }] : [];
  const after: Step[] = [
    ...(input ? [{ pass: 'fuse-input', options: {} }] : []),
    ...(output ? [{ pass: 'quantize-output', options: output }] : []),
  ];
  return specs.map(({ recipe, relax, ...spec }) => {
    const own = recipe.findIndex(({ pass }) => !preparingPasses.has(pass));
    const lead = own < 0 ? recipe.length : own;
    return {
      ...spec,
      recipe: [...recipe.slice(0, lead), ...before, ...recipe.slice(lead), ...after],
      ...(relax && {
        relax: { ...relax, steps: relax.steps.map((step) => step + before.length) },
      }),
    };
  });
}
