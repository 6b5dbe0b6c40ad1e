import { describe, expect, test } from 'vitest';
import { quantizeRecipe, type RecipeInput } from './quantize-recipe.js';

const plain: RecipeInput = {
  scheme: 'static',
  simplify: true,
  equalize: false,
  smoothQuant: false,
  weightScales: false,
  learnedRounding: false,
  hasData: true,
  own: {},
  input: undefined,
  output: undefined,
};

const passes = (given: Partial<RecipeInput>) =>
  quantizeRecipe({ ...plain, ...given }).map(({ pass }) => pass);

describe('the recipe of pare quantize', () => {
  test('what scales channels comes before what looks at weights', () => {
    expect(passes({ weightScales: true, smoothQuant: true, equalize: true, output: {} })).toEqual([
      'simplify',
      'equalize',
      'smooth-quant',
      'weight-scales',
      'static',
      'quantize-output',
    ]);
  });

  test('rounding searches the scales itself', () => {
    const recipe = quantizeRecipe({ ...plain, weightScales: true, learnedRounding: true });
    expect(recipe.map(({ pass }) => pass)).toEqual(['simplify', 'learned-rounding', 'static']);
    expect(recipe[1]!.options).toEqual({ matMul: true, scales: 'search' });
  });

  test('passes over weights get what the scheme is told of integers and nodes', () => {
    const own = {
      perChannel: false,
      reduceRange: true,
      exclude: ['a'],
      matMul: 'float',
      strict: true,
    };
    const recipe = quantizeRecipe({ ...plain, own, learnedRounding: true });
    expect(recipe[1]!.options).toEqual({
      perChannel: false,
      reduceRange: true,
      exclude: ['a'],
      matMul: false,
    });
    expect(recipe[2]!.options).toBe(own);
  });

  test('without data weight scales look at weights alone', () => {
    const given = { ...plain, scheme: 'weight-only', weightScales: true, hasData: false };
    expect(quantizeRecipe(given)[1]!.options).toMatchObject({ by: 'weights', matMul: true });
  });

  test.each<[string, Partial<RecipeInput>, RegExp]>([
    ['a scheme without integers', { scheme: 'float16', weightScales: true }, /not for float16/],
    ['dynamic', { scheme: 'dynamic', equalize: true }, /--equalize prepares for static/],
    ['no samples', { learnedRounding: true, hasData: false }, /--learned-rounding needs samples/],
    ['raw inputs', { weightScales: true, input: {} }, /--quantize-input changes the first/],
    ['other weights', { weightScales: true, own: { weights: 'int4' } }, /not int4/],
    ['blocks', { weightScales: true, own: { blockSize: 32 } }, /not blocks of 32/],
    ['zero points', { learnedRounding: true, own: { weightSymmetric: false } }, /zero points/],
    [
      'blocks of a form',
      { scheme: 'weight-only', weightScales: true, own: { form: 'nbits' } },
      /not the blocks of form nbits/,
    ],
    [
      'float8',
      { scheme: 'weight-only', learnedRounding: true, own: { weights: 'float8e4m3fn' } },
      /not float8e4m3fn/,
    ],
    ['wide activations', { smoothQuant: true, own: { activations: 'int16' } }, /8-bit activations/],
  ])('%s: refused', (_name, given, message) => {
    expect(() => passes(given)).toThrow(message);
  });
});
