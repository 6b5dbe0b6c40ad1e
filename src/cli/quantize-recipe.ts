/**
 * The recipe of pare quantize: which passes come before and after the scheme, in which order, and
 * which combinations make no sense. The order is fixed: simplify, equalize, smooth-quant,
 * weight-scales, learned-rounding, quantize-input, the scheme, fuse-input, quantize-output. What
 * scales channels comes before what looks at weights, and rounding comes last.
 */
import { PareError } from '../errors.js';
import type { Recipe, Step } from '../optimize/recipe.js';

export interface AccuracyFlags {
  readonly equalize: boolean;
  readonly smoothQuant: boolean;
  readonly weightScales: boolean;
  readonly learnedRounding: boolean;
}

/** By flag: the schemes that it prepares for. */
const preparesFor: Readonly<Record<keyof AccuracyFlags, readonly string[]>> = Object.freeze({
  equalize: ['static'],
  smoothQuant: ['static', 'dynamic'],
  // dynamic leaves convolutions in float.
  weightScales: ['static', 'weight-only'],
  learnedRounding: ['static', 'weight-only'],
});

export interface RecipeInput extends AccuracyFlags {
  readonly scheme: string;
  readonly simplify: boolean;
  /** Without data only weights can be looked at. */
  readonly hasData: boolean;
  /** Options of the scheme. */
  readonly own: Readonly<Record<string, unknown>>;
  /** Options of quantize-input and quantize-output, where they are wanted. */
  readonly input: Step['options'] | undefined;
  readonly output: Step['options'] | undefined;
}

/** Throws `usage` for a combination that makes no sense, with what to do instead. */
export function quantizeRecipe(given: RecipeInput): Recipe {
  const { scheme, own, input, output } = given;
  checkCombination(given);
  const { include, exclude, perChannel, reduceRange } = own;
  const nodes = definedOnly({ include, exclude });
  const integers = definedOnly({ perChannel, reduceRange });
  const matMul = own.matMul !== 'float';
  const layers = { ...nodes, ...integers, matMul };
  const weightsOnly = given.hasData ? {} : { by: 'weights' };
  return [
    ...step(given.simplify, 'simplify'),
    ...step(given.equalize, 'equalize'),
    ...step(given.smoothQuant, 'smooth-quant', layers),
    // Rounding needs the weights as they were before they were clipped, so it searches itself.
    ...step(given.weightScales && !given.learnedRounding, 'weight-scales', {
      ...layers,
      ...weightsOnly,
    }),
    ...step(given.learnedRounding, 'learned-rounding', {
      ...layers,
      ...(given.weightScales && { scales: 'search' }),
    }),
    ...step(input !== undefined, 'quantize-input', input),
    { pass: scheme, options: own },
    ...step(input !== undefined, 'fuse-input'),
    ...step(output !== undefined, 'quantize-output', output),
  ];
}

function step(wanted: boolean, pass: string, options: Step['options'] = {}): Step[] {
  return wanted ? [{ pass, options }] : [];
}

function checkCombination(given: RecipeInput): void {
  const { scheme, own, input } = given;
  for (const flag of Object.keys(preparesFor) as (keyof AccuracyFlags)[]) {
    if (!given[flag]) continue;
    const name = flagName(flag);
    if (!preparesFor[flag].includes(scheme)) {
      throw new PareError(
        'usage',
        `quantize: ${name} prepares for ${preparesFor[flag].join(', ')}, not for ${scheme}`,
      );
    }
    if (!given.hasData && flag !== 'weightScales') {
      throw new PareError('usage', `quantize: ${name} needs samples`, {
        hint: 'give data with --data PATH; labels are not needed',
      });
    }
  }
  const wide = ['uint16', 'int16'].includes(own.activations as string);
  if (wide && (given.equalize || given.smoothQuant)) {
    const name = flagName(given.equalize ? 'equalize' : 'smoothQuant');
    throw new PareError(
      'usage',
      `quantize: ${name} makes room for 8-bit activations, which ${own.activations} has anyway`,
      { hint: 'use one of the two' },
    );
  }
  const rewritten = given.learnedRounding ? 'learnedRounding' : 'weightScales';
  const other = otherIntegers(own);
  if (given[rewritten] && other) {
    throw new PareError(
      'usage',
      `quantize: ${flagName(rewritten)} prepares int8 weights with a scale per channel or tensor, not ${other}`,
      { hint: `leave ${flagName(rewritten)} out` },
    );
  }
  if (input && given[rewritten]) {
    throw new PareError(
      'usage',
      `quantize: --quantize-input changes the first weights that ${flagName(rewritten)} has prepared`,
      { hint: 'use one of the two' },
    );
  }
}

/** What the scheme makes of weights, where it is not int8 around zero by channel or tensor. */
function otherIntegers(own: RecipeInput['own']): string | undefined {
  if (own.blockSize !== undefined) return `blocks of ${own.blockSize}`;
  if (own.form === 'nbits') return 'the blocks of form nbits';
  if (own.weights !== undefined && own.weights !== 'int8') return `${own.weights}`;
  return own.weightSymmetric === false ? 'int8 with zero points' : undefined;
}

function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function definedOnly(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
