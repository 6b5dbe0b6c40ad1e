import { expect, test } from 'vitest';
import type { PassReport, Skip } from '../pass.js';
import { groupSkips } from './receipt.js';

function report(pass: string, changed: readonly string[], skipped: readonly Skip[]): PassReport {
  return {
    pass,
    options: {},
    changed: changed.map((node) => ({ node, op: 'Conv', what: 'int8' })),
    skipped,
    notes: [],
  };
}

const skip = (node: string, op: string, reason: string): Skip => ({ node, op, reason });

test('nodes of one reason are one group, the largest first', () => {
  const groups = groupSkips([
    report(
      'dynamic',
      [],
      [
        skip('a', 'Add', 'has no weight'),
        skip('c1', 'Conv', 'stays float: not asked for'),
        skip('c2', 'Conv', 'stays float: not asked for'),
      ],
    ),
  ]);
  expect(groups).toEqual([
    { pass: 'dynamic', op: 'Conv', reason: 'stays float: not asked for', nodes: ['c1', 'c2'] },
    { pass: 'dynamic', op: 'Add', reason: 'has no weight', nodes: ['a'] },
  ]);
});

test('the name of a weight before the reason does not tell groups apart', () => {
  const groups = groupSkips([
    report(
      'weight-only',
      [],
      [
        skip('c1', 'Conv', 'conv1.weight: below 1024 elements'),
        skip('c2', 'Conv', 'conv2.weight: below 1024 elements'),
      ],
    ),
  ]);
  expect(groups).toEqual([
    {
      pass: 'weight-only',
      op: 'Conv',
      reason: 'below 1024 elements',
      nodes: ['c1', 'c2'],
    },
  ]);
});

test('what a later step changes was not left alone; what an earlier one changed was', () => {
  const groups = groupSkips([
    report(
      'dynamic',
      ['m1'],
      [skip('c1', 'Conv', 'not asked for'), skip('c2', 'Conv', 'too small')],
    ),
    report('weight-only', ['c1'], [skip('m1', 'MatMulInteger', 'is quantized')]),
  ]);
  expect(groups.map(({ pass, nodes }) => [pass, nodes])).toEqual([
    ['dynamic', ['c2']],
    ['weight-only', ['m1']],
  ]);
});
