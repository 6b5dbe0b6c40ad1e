import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { randomFeeds } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { checkGradients } from '../../testing/node-gradients.js';
import { gradientOf, gradients } from './index.js';
import { type GradientCase, gradientCases } from './test-cases.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const opsets = '"" : 23, "com.microsoft" : 1';
const sizes = { N: 2, M: 2, H: 6, W: 7 };

async function check([, inputs, nodes, extra = '']: GradientCase, scatter: boolean) {
  const lines = nodes.split('\n').map((line) => line.trim());
  const last = lines.at(-1)!.split('=')[0]!.split(',')[0]!.trim();
  const text = `<ir_version: 10, opset_import: [${opsets}]>
main (${inputs}) => (${last}) ${extra ? `<${extra}>` : ''} {
${lines.join('\n')}
}`;
  const model = parseModel(text);
  const ports = model.graph.inputs.map(({ name, type }) => ({
    name,
    dataType: type?.kind === 'tensor' ? type.dataType : undefined,
    dims: type?.kind === 'tensor' ? type.dims?.map((dim) => dim ?? '') : undefined,
  }));
  const feeds = randomFeeds(ports, { seed: 11, dims: sizes });
  const wanted = ports.map(({ name }) => name);
  return checkGradients(engine, model, { feeds, wanted, elements: 4, scatter });
}

describe('gradients against central differences', () => {
  test.each(gradientCases.map((row) => ({ name: row[0], row })))('$name', async ({ row }) => {
    const found = await check(row, true);
    expect(found.worst).toBeLessThan(1e-3);
    expect(found.unreached).toEqual([]);
    expect(found.kinks).toBeLessThan(found.elements / 2);
  });
});

describe('without scatter', () => {
  const names = ['max pool', 'max pool ceil dilated', 'gather twice', 'gather axis', 'pad reflect'];
  test.each(names)('%s', async (name) => {
    const row = gradientCases.find((each) => each[0] === name)!;
    expect((await check(row, false)).worst).toBeLessThan(1e-3);
  });

  // The runtime has no OneHot for double.
  test.each(['gather twice', 'pad reflect'])('%s in double', async (title) => {
    const [name, inputs, ...rest] = gradientCases.find((each) => each[0] === title)!;
    const row: GradientCase = [name, inputs.replace('float', 'double'), ...rest];
    expect((await check(row, false)).worst).toBeLessThan(1e-8);
  });
});

test('what stops a gradient and what has none says why', () => {
  expect(gradientOf('ArgMax')).toMatchObject({ kind: 'stops' });
  expect(gradientOf('Loop')).toMatchObject({ kind: 'unsupported' });
  expect(gradientOf('my.domain:Custom')).toMatchObject({ kind: 'unsupported' });
  for (const entry of Object.values(gradients)) {
    if (entry.kind === 'stops' || entry.kind === 'unsupported') expect(entry.reason).not.toBe('');
  }
});
