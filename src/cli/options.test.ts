import { Command } from 'commander';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { PareError } from '../errors.js';
import { checkOptions } from './check-options.js';
import { flagsText, kebabCase, remarksText } from './option-spec.js';
import { addOptions, givenOptions, optionsFromSchema } from './options.js';

const schema = z.object({
  output: z.string().check(z.meta({ description: 'where', short: 'o', placeholder: 'FILE' })),
  maxDrop: z._default(
    z.number().check(z.minimum(0), z.meta({ description: 'points lost', unit: 'points' })),
    0.5,
  ),
  ratio: z.optional(z.number().check(z.maximum(1), z.meta({ unit: 'share' }))),
  limit: z.optional(z.int().check(z.meta({ unit: 'bytes' }))),
  budgetMs: z.optional(z.number().check(z.meta({ unit: 'ms' }))),
  perChannel: z._default(z.boolean(), true).check(z.describe('one scale per channel')),
  conv: z._default(z.boolean(), false),
  scheme: z._default(z.enum(['static', 'dynamic', 'float16']), 'dynamic'),
  exclude: z._default(z.array(z.string()), []),
  sizes: z.optional(z.array(z.int()).check(z.maxLength(3))),
  blockSize: z.optional(z.union([z.literal('auto'), z.int().check(z.positive())])),
  crop: z.optional(z.nullable(z.tuple([z.int(), z.int()]))),
  preprocess: z.optional(z.union([z.record(z.string(), z.unknown()), z.string()])),
});

const specs = optionsFromSchema(schema);

function parse(...argv: string[]) {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  addOptions(command, specs);
  command.parse(argv, { from: 'user' });
  return givenOptions(command, specs);
}

function errorOf(run: () => unknown): PareError {
  try {
    run();
  } catch (error) {
    if (error instanceof PareError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('options from a schema', () => {
  it('reads nothing that was not given', () => expect(parse()).toEqual({}));

  it.each([
    [['-o', 'out.onnx'], { output: 'out.onnx' }],
    [['--max-drop', '0.5%'], { maxDrop: 0.5 }],
    [['--max-drop', '.25'], { maxDrop: 0.25 }],
    [['--max-drop=-1'], { maxDrop: -1 }],
    [['--max-drop', '1 points'], { maxDrop: 1 }],
    [['--ratio', '7%'], { ratio: 0.07 }],
    [['--ratio', '0.07'], { ratio: 0.07 }],
    [['--limit', '2.5MB'], { limit: 2_500_000 }],
    [['--limit', '2MiB'], { limit: 2_097_152 }],
    [['--budget-ms', '1.5s'], { budgetMs: 1500 }],
    [['--no-per-channel'], { perChannel: false }],
    [['--per-channel'], { perChannel: true }],
    [['--no-conv'], { conv: false }],
    [['--scheme', 'float16'], { scheme: 'float16' }],
    [['--exclude', 'a,b', '--exclude', 'op:Conv'], { exclude: ['a', 'b', 'op:Conv'] }],
    [['--exclude', '["a,b"]'], { exclude: ['a,b'] }],
    [['--exclude', ''], { exclude: [] }],
    [['--sizes', '1, 2'], { sizes: [1, 2] }],
    [['--block-size', 'auto'], { blockSize: 'auto' }],
    [['--block-size', '32'], { blockSize: 32 }],
    [['--crop', '224,192'], { crop: [224, 192] }],
    [['--crop', 'none'], { crop: null }],
    [['--preprocess', 'imagenet'], { preprocess: 'imagenet' }],
    [['--preprocess', '{"crop":3}'], { preprocess: { crop: 3 } }],
  ])('%j', (argv, expected) => expect(parse(...argv)).toEqual(expected));

  it.each([
    [['--max-drop', 'much'], '--max-drop: "much" is not a number of this kind'],
    [['--max-drop', '5MB'], '--max-drop: "5MB" is not a number of this kind'],
    [['--sizes', '1,x'], '--sizes: "x" is not a number'],
    [['--scheme', 'dynamc'], '--scheme: "dynamc" is not one of static, dynamic, float16'],
    [['--block-size', '-3'], '--block-size: "-3" is not auto or a whole number'],
    [['--exclude', '["a'], '--exclude: not valid JSON: ["a'],
  ])('refuses %j', (argv, message) => {
    const error = errorOf(() => parse(...argv));
    expect(error.code).toBe('usage');
    expect(error.message).toBe(message);
  });

  it('hints at what was meant', () => {
    expect(errorOf(() => parse('--scheme', 'dynamc')).hint).toBe('did you mean dynamic?');
    expect(errorOf(() => parse('--max-drop', 'x')).hint).toBe('for example 0.5 or 0.5%');
  });

  it('describes itself', () => {
    const lines = specs.map((spec) => `${flagsText(spec)} ${remarksText(spec)}`.trimEnd());
    expect(lines).toEqual([
      '-o, --output FILE (required)',
      '    --max-drop POINTS (default: 0.5)',
      '    --ratio SHARE',
      '    --limit BYTES',
      '    --budget-ms MS',
      '    --no-per-channel',
      '    --conv',
      '    --scheme static|dynamic|float16 (default: dynamic)',
      '    --exclude TEXT (repeat it or separate with commas)',
      '    --sizes N (repeat it or separate with commas)',
      '    --block-size auto|N',
      '    --crop N,N',
      '    --preprocess JSON|TEXT',
    ]);
    expect(specs.map((spec) => spec.description).filter(Boolean)).toEqual([
      'where',
      'points lost',
      'one scale per channel',
    ]);
  });

  it('refuses schemas that have no form as flags', () => {
    const make = (shape: Record<string, z.ZodMiniType>) => () => optionsFromSchema(z.object(shape));
    expect(make({ when: z.date() })).toThrow('cannot have the schema type "date"');
    expect(make({ force: z.boolean() })).toThrow('option "force" is defined twice');
    expect(make({ noConv: z.boolean() })).toThrow('cannot start with "no"');
  });

  it('reads every number as JavaScript does', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(parse('--max-drop', String(value)).maxDrop).toBe(Number(String(value)));
      }),
    );
  });
});

describe('kebabCase', () => {
  it.each([
    ['maxDrop', 'max-drop'],
    ['minSNRDrop', 'min-snr-drop'],
    ['int8Weights', 'int8-weights'],
    ['data', 'data'],
  ])('%s is %s', (key, flag) => expect(kebabCase(key)).toBe(flag));
});

describe('checkOptions', () => {
  const check = (values: Record<string, unknown>) =>
    checkOptions(schema, { output: 'o', ...values }, (key) => `--${key}`);

  it('fills in defaults', () => {
    expect(check({})).toEqual({
      output: 'o',
      maxDrop: 0.5,
      perChannel: true,
      conv: false,
      scheme: 'dynamic',
      exclude: [],
    });
  });

  it.each([
    [{ maxDrop: -1 }, '--maxDrop: must be at least 0, got -1'],
    [{ ratio: 25 }, '--ratio: must be at most 1, got 25'],
    [{ limit: 1.5 }, '--limit: expected a number such as 2500000, 2.5MB or 2MiB, got 1.5'],
    [{ scheme: 'x' }, '--scheme: must be one of static, dynamic, float16, got "x"'],
    [{ sizes: [1, 2, 3, 4] }, '--sizes: must be at most 3 items long, got [1,2,3,4]'],
    [{ sizes: [1, 'a'] }, '--sizes[1]: wrong value "a"'],
    [{ perChannel: 'yes' }, '--perChannel: expected true or false, got "yes"'],
    [{ blockSize: -3 }, '--blockSize: must be more than 0, got -3'],
    [{ blockSize: 'x' }, '--blockSize: expected auto or a whole number, got "x"'],
    [{ output: undefined }, '--output is required'],
  ])('%j', (values, message) => {
    const error = errorOf(() => check(values));
    expect(error.code).toBe('usage');
    expect(error.message).toBe(message);
  });

  it('words the checks of the options as a whole', () => {
    const either = z
      .object({ a: z.optional(z.number()), b: z.optional(z.number()) })
      .check(z.refine(({ a, b }) => a === undefined || b === undefined, '--a excludes --b'));
    expect(errorOf(() => checkOptions(either, { a: 1, b: 2 }, String)).message).toBe(
      '--a excludes --b',
    );
  });
});
