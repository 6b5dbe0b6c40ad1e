import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { Model } from '../graph/model.js';
import { tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { snrOf } from './compare-outputs.js';
import { evaluate } from './evaluate.js';
import { datasetOf, floats, ids, linearModel, named, tokenModel } from './test-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
});

const identity = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];
/** Takes class 2 for class 1. */
const confused = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 1, 0],
];
const oneHot = [floats([3, 0, 1]), floats([0, 2, 1]), floats([0, 1, 2]), floats([0, 0, 4])];
const labels = [0, 1, 2, 0];

describe('classification', () => {
  test('counts hits, flips and the drop against the first model', async () => {
    const models = [
      await named('original', linearModel(identity)),
      await named('small', linearModel(confused)),
    ];
    const [original, small] = await evaluate(models, datasetOf(oneHot, labels), engine);
    expect(original).toMatchObject({
      model: 'original',
      reference: null,
      task: 'classification',
      output: 'y',
      samples: 4,
      classification: { classes: 3, top1: { count: 3, n: 4, share: 0.75 }, top5: null },
      flips: null,
      drop: null,
    });
    expect(small).toMatchObject({
      reference: 'original',
      classification: { top1: { count: 2, n: 4 } },
      flips: { count: 2, n: 4 },
      drop: { points: 25, lost: 1, gained: 0 },
    });
    expect(small!.classification!.perClass).toEqual([
      { class: 0, name: null, n: 2, correct: 1 },
      { class: 1, name: null, n: 1, correct: 1 },
      { class: 2, name: null, n: 1, correct: 0 },
    ]);
    expect(small!.outputs[0]!.agreement!.maxAbsError).toBe(4);
  });

  test('without labels measures agreement alone', async () => {
    const models = [
      await named('original', linearModel(identity)),
      await named('same', linearModel(identity)),
    ];
    const [, same] = await evaluate(models, datasetOf(oneHot), engine);
    expect(same!.classification).toMatchObject({ top1: null, perClass: [] });
    expect(same).toMatchObject({ flips: { count: 0, n: 4 }, drop: null });
    expect(snrOf(same!.outputs[0]!.agreement!)).toBe(Number.POSITIVE_INFINITY);
  });

  test.each([
    ['an open batch, run by threes', 'N', 3],
    ['a fixed batch of one', 1, 3],
    ['a fixed batch that the samples do not fill', 3, 1],
  ] as const)('is the same with %s', async (_name, batch, batchSize) => {
    const models = [
      await named('original', linearModel(identity)),
      await named('other', linearModel(identity, batch)),
    ];
    const dataset = datasetOf(oneHot, labels);
    const [original, other] = await evaluate(models, dataset, engine, { batchSize });
    expect(other!.classification).toEqual(original!.classification);
    expect(other!.outputs[0]).toMatchObject({ elements: 12, agreement: { exact: true } });
  });

  test('takes samples by index', async () => {
    const models = [await named('original', linearModel(identity))];
    const dataset = datasetOf(oneHot, labels);
    const [result] = await evaluate(models, dataset, engine, { indices: [3, 0] });
    expect(result!.classification!.top1).toMatchObject({ count: 1, n: 2 });
  });

  test('ranks top-5 among more classes', async () => {
    const eight = Array.from({ length: 8 }, (_, i) =>
      Array.from({ length: 8 }, (_, j) => (i === j ? 1 : 0)),
    );
    const scores = floats([8, 7, 6, 5, 4, 3, 2, 1]);
    const models = [await named('eight', linearModel(eight))];
    const dataset = datasetOf([scores, scores, scores], [0, 4, 5]);
    const [result] = await evaluate(models, dataset, engine);
    expect(result!.classification).toMatchObject({ top1: { count: 1 }, top5: { count: 2, n: 3 } });
  });

  test('a score that is not a number is never right', async () => {
    const models = [await named('original', linearModel(identity))];
    const dataset = datasetOf([floats([Number.NaN, 0, 0]), floats([1, 0, 0])], [0, 0]);
    const [result] = await evaluate(models, dataset, engine);
    expect(result!.classification!.top1).toMatchObject({ count: 1, n: 2 });
    expect(result!.outputs[0]!.nan).toBe(3);
  });

  test('refuses a label that the model has no class for', async () => {
    const models = [await named('original', linearModel(identity))];
    await expect(evaluate(models, datasetOf(oneHot, [0, 1, 2, 3]), engine)).rejects.toMatchObject({
      code: 'data-mismatch',
      message: expect.stringContaining('label 3 of sample "3"'),
    });
  });
});

describe('tokens', () => {
  const table = [
    [0, 1, 2, -1],
    [3, 0.5, 0, 1],
    [0, 0, 0, 0],
    [1, 4, 2, 0],
  ];
  const texts = [
    [0, 2, 1, 0],
    [3, 1],
    [2, 3, 3],
  ];

  test('perplexity and accuracy are those of the probabilities written out', async () => {
    let [sum, hits, n] = [0, 0, 0];
    for (const text of texts) {
      for (let at = 0; at + 1 < text.length; at++) {
        const row = table[text[at]!]!.map(Math.exp);
        const next = text[at + 1]!;
        sum -= Math.log(row[next]! / row.reduce((a, b) => a + b));
        if (row.indexOf(Math.max(...row)) === next) hits++;
        n++;
      }
    }
    const models = [await named('lm', tokenModel(table))];
    const [result] = await evaluate(models, datasetOf(texts.map(ids)), engine);
    expect(result).toMatchObject({ task: 'tokens', output: 'logits', samples: 3 });
    expect(result!.tokens).toMatchObject({ vocabulary: 4, n: 6, nextToken: { count: hits, n } });
    expect(result!.tokens!.crossEntropy).toBeCloseTo(sum / n, 6);
    expect(result!.tokens!.perplexity).toBeCloseTo(Math.exp(sum / n), 5);
  });

  test('equal logits have the perplexity of the vocabulary', async () => {
    const models = [await named('flat', tokenModel(table.map((row) => row.map(() => 7))))];
    const [result] = await evaluate(models, datasetOf(texts.map(ids)), engine);
    expect(result!.tokens!.perplexity).toBeCloseTo(4, 6);
  });

  test('flips are counted per token', async () => {
    const other = table.map((row, at) => (at === 1 ? [0, 9, 0, 0] : row));
    const models = [
      await named('original', tokenModel(table)),
      await named('other', tokenModel(other)),
    ];
    const [, result] = await evaluate(models, datasetOf(texts.map(ids)), engine);
    // The current id is 1 at one predicted position: text 0, position 2.
    expect(result!.flips).toMatchObject({ count: 1, n: 6 });
  });

  test('hidden states as wide as the largest id are not taken for logits', async () => {
    const models = [await named('encoder', tokenModel(table.map((row) => row.slice(0, 3))))];
    const [result] = await evaluate(models, datasetOf([ids([0, 3])]), engine);
    expect(result!.task).toBe('generic');
  });
});

/** Two float outputs, one of integers, and a state that the data does not have. */
function statefulModel(): Model {
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const x = graph.addInput('x', tensorType('float', ['N', 2]));
  const h = graph.addInput('h', tensorType('float', [2, 'N', 1]));
  const axes = graph.addInitializer('axes', Tensor.of('int64', [1], [0]));
  const total = graph.addNode({
    opType: 'ReduceSum',
    inputs: [h, axes],
    outputs: ['total'],
    attributes: { keepdims: 0 },
  });
  const sum = graph.addNode({ opType: 'Add', inputs: [x, total.output()], outputs: ['sum'] });
  const best = graph.addNode({
    opType: 'ArgMax',
    inputs: [sum.output()],
    outputs: ['best'],
    attributes: { axis: 1, keepdims: 0 },
  });
  const next = graph.addNode({ opType: 'Neg', inputs: [h], outputs: ['next'] });
  best.output().type = tensorType('int64', ['N']);
  sum.output().type = tensorType('float', ['N', 2]);
  next.output().type = tensorType('float', [2, 'N', 1]);
  graph.outputs.push(best.output(), next.output(), sum.output());
  return model;
}

describe('inputs and outputs', () => {
  const data = () => datasetOf([{ x: floats([1, 2]) }, { x: floats([4, 3]) }], [1, 0]);

  test('a state without data is an error that names it', async () => {
    const models = [await named('rnn', statefulModel())];
    await expect(evaluate(models, data(), engine)).rejects.toMatchObject({
      code: 'data-mismatch',
      message: expect.stringContaining('"h" float[2,N,1]'),
    });
  });

  test('one number fills it, and every output is compared', async () => {
    const models = [await named('rnn', statefulModel()), await named('again', statefulModel())];
    const constants = { h: hostTensor('float', [], Float32Array.of(0.5)) };
    const options = { constants, output: 'sum', batchSize: 2 };
    const [, again] = await evaluate(models, data(), engine, options);
    expect(again!.classification!.top1!.share).toBe(1);
    expect(again!.outputs.map(({ output }) => output)).toEqual(['sum', 'best', 'next']);
    expect(again!.outputs.map(({ agreement }) => agreement!.exact)).toEqual([true, true, true]);
    expect(again!.outputs[1]!.agreement!.equal).toMatchObject({ count: 2, n: 2 });
  });

  test('an output that does not exist is a usage error with the list', async () => {
    const models = [await named('original', linearModel(identity))];
    await expect(
      evaluate(models, datasetOf(oneHot), engine, { output: 'logits' }),
    ).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('"y"') });
  });

  test('a task that the outputs do not allow is a usage error', async () => {
    const models = [await named('original', linearModel(identity))];
    await expect(
      evaluate(models, datasetOf(oneHot), engine, { task: 'tokens' }),
    ).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('[len, vocabulary]'),
    });
  });

  test('labels that no output can be scored by are noted', async () => {
    const models = [await named('regression', linearModel([[1], [1], [1]]))];
    const [result] = await evaluate(models, datasetOf(oneHot, labels), engine);
    expect(result).toMatchObject({ task: 'generic', classification: null });
    expect(result!.notes).toEqual([expect.stringContaining('labels are not used')]);
  });
});

test('two models of one name, no sample, and a cancelled run are refused', async () => {
  const model = await named('m', linearModel(identity));
  await expect(evaluate([model, model], datasetOf(oneHot), engine)).rejects.toThrow(/named "m"/);
  await expect(evaluate([model], datasetOf([]), engine)).rejects.toMatchObject({
    code: 'invalid-data',
  });
  const signal = AbortSignal.abort();
  await expect(evaluate([model], datasetOf(oneHot), engine, { signal })).rejects.toMatchObject({
    code: 'aborted',
  });
});

test('results are plain JSON', async () => {
  const models = [await named('a', linearModel(identity)), await named('b', linearModel(confused))];
  const results = await evaluate(models, datasetOf(oneHot, labels), engine);
  expect(JSON.parse(JSON.stringify(results))).toEqual(results);
});
