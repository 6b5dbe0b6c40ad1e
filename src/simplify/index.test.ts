import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { applyPass } from '../pass.js';
import { expectEqualOutputs } from '../testing/node-fixtures.js';
import { simplifications, simplify, simplifyPass } from './index.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const operators = (model: Model) => [...model.graph.nodes].map(({ op }) => op);

/** The reshape that PyTorch writes for x.view(x.size(0), -1), and a bit of everything else. */
const exported = (batch: string) => `
  main (float[${batch},2,6,6] x) => (float[${batch},K] y)
  <
    float[4,2,3,3] w = normal(seed=1), float[4] g = {1, 2, 3, 4}, float[4] b = {0.5, 1, -1, 2},
    float[4] m = {0.1, 0.2, 0.3, 0.4}, float[4] v = {1, 2, 3, 4}
  >
  {
    c = Conv(x, w)
    n = BatchNormalization(c, g, b, m, v)
    d = Dropout(n)
    r = Relu(d)
    s = Shape(r)
    zero = Constant<value = int64 {0}>()
    i = Gather<axis = 0>(s, zero)
    axes = Constant<value_ints = [0]>()
    u = Unsqueeze(i, axes)
    rest = Constant<value_ints = [-1]>()
    t = Concat<axis = 0>(u, rest)
    f = Reshape(r, t)
    y = Identity(f)
  }
`;

describe('simplify', () => {
  test('folds an export with static dims down to its operators', async () => {
    const model = parseModel(exported('2'));
    const before = await printModel(model, { weights: 'full' });
    const { model: simple, report } = await simplify(model, {}, { engine });
    expect(await printModel(model, { weights: 'full' })).toBe(before);
    expect(operators(simple)).toEqual(['Conv', 'Relu', 'Reshape']);
    expect([report.nodesBefore, report.nodesAfter]).toEqual([13, 3]);
    expect(report.passes.map(({ pass }) => pass)).toContain('fold-shape');
    await expectEqualOutputs(engine, model, simple);

    const { model: twice, report: second } = await simplify(simple, {}, { engine });
    expect(await printModel(twice, { weights: 'full' })).toBe(
      await printModel(simple, { weights: 'full' }),
    );
    expect(second.changed).toEqual([]);
    expect(second.rounds).toBe(1);
  });

  test('keeps computing symbolic dims', async () => {
    const model = parseModel(exported('N'));
    const { model: simple } = await simplify(model, {}, { engine });
    expect(operators(simple)).toEqual([
      'Conv',
      'Relu',
      'Shape',
      'Gather',
      'Unsqueeze',
      'Concat',
      'Reshape',
    ]);
    await expectEqualOutputs(engine, model, simple);
  });

  test('leaves no inferred types behind, and the interface as it was', async () => {
    const model = parseModel(exported('2'));
    const { model: simple } = await simplify(model, {}, { engine });
    const typed = [...simple.graph.values].filter((value) => value.type && !value.initializer);
    expect(typed.map(({ name }) => name)).toEqual(['x', 'y']);
    expect(simple.graph.outputs[0]!.type).toEqual(model.graph.outputs[0]!.type);
  });

  test('says without an engine that constants are not folded', async () => {
    const { model: simple, report } = await simplify(parseModel(exported('2')));
    expect(operators(simple)).toContain('Gather');
    expect(operators(simple)).not.toContain('Dropout');
    expect(report.notes.join()).toContain('fold-constants is left out');
  });

  test('applies the rewrites that are chosen', async () => {
    const model = parseModel(exported('2'));
    const only = await simplify(model, { include: ['remove-dropout'] }, { engine });
    expect(only.report.changed.map(({ op }) => op)).toEqual(['Dropout']);
    const without = await simplify(model, { exclude: ['fold-batch-norm'] }, { engine });
    expect(operators(without.model)).toContain('BatchNormalization');
    await expect(simplify(model, { exclude: ['fold-batchnorm'] })).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('fold-batch-norm'),
    });
    const both = { include: ['merge-initializers', 'unshare-initializers'] };
    await expect(simplify(model, both)).rejects.toMatchObject({ code: 'usage' });
    await expect(simplify(model, { foldLimitBytes: -1 })).rejects.toMatchObject({ code: 'usage' });
  });

  test('is a pass like any other', async () => {
    const { model: simple, report } = await applyPass(
      parseModel(exported('2')),
      simplifyPass,
      {},
      { engine },
    );
    expect(operators(simple)).toEqual(['Conv', 'Relu', 'Reshape']);
    expect(report.changed.length).toBeGreaterThan(5);
  });

  test('stops when the caller cancels', async () => {
    const signal = AbortSignal.abort();
    await expect(simplify(parseModel(exported('2')), {}, { signal })).rejects.toMatchObject({
      code: 'aborted',
    });
  });

  test('has rewrites with unique names', () => {
    expect(new Set(simplifications.map(({ name }) => name)).size).toBe(simplifications.length);
    expect(Object.isFrozen(simplifications)).toBe(true);
  });
});

describe('what must not be merged or folded', () => {
  test('random operators', async () => {
    const model = parseModel(`
      main (float[2] x) => (float[2] y)
      < int64[1] s = {2}, float[1,3] p = {0.1, 0.2, 0.7} >
      {
        k = ConstantOfShape(s)
        a = RandomNormalLike(k)
        b = RandomNormalLike(k)
        m = Multinomial<sample_size = 2>(p)
        n = Cast<to = 1>(m)
        f = Squeeze(n)
        c = Sub(a, b)
        d = Add(c, f)
        y = Add(x, d)
      }`);
    const { model: simple, report } = await simplify(model, {}, { engine });
    const left = operators(simple);
    expect(left.filter((op) => op === 'RandomNormalLike')).toHaveLength(2);
    expect(left).toContain('Multinomial');
    expect(left).not.toContain('ConstantOfShape');
    expect(report.skipped).toContainEqual(
      expect.objectContaining({ op: 'Multinomial', reason: 'it is random' }),
    );
  });

  test('operators of unknown domains', async () => {
    const model = parseModel(`
      <ir_version: 8, opset_import: ["": 17, "acme": 1]>
      main (float[2] x) => (float[2] y)
      < float[2] w = {1, 2} >
      {
        log = acme.Print(x)
        a = acme.Next(x)
        b = acme.Next(x)
        k = acme.Make(w)
        c = Add(a, b)
        y = Add(c, k)
      }`);
    const { model: simple, report } = await simplify(model, {}, { engine });
    expect(simple.graph.nodes.size).toBe(6);
    expect(report.skipped.map(({ op }) => op)).toEqual(['acme:Print', 'acme:Make']);
    expect(report.notes.join()).toContain('the runtime cannot infer');
  });

  test('a node that the runtime refuses, though its neighbours are folded', async () => {
    const model = parseModel(`
      <ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>
      main (float[2] x) => (float[2] y)
      < float[2] w = {1, 4} >
      {
        r = Sqrt(w)
        n = com.microsoft.NoSuchOperator(r)
        m = Neg(n)
        k = Neg(r)
        a = Add(x, k)
        y = Add(a, m)
      }`);
    const { model: simple, report } = await simplify(model, {}, { engine });
    expect(operators(simple)).toEqual(['com.microsoft:NoSuchOperator', 'Neg', 'Add', 'Add']);
    const reason = report.skipped.find(({ op }) => op.endsWith('NoSuchOperator'))?.reason;
    expect(reason).toMatch(/^the runtime refuses it: .*NoSuchOperator/s);
  });

  test('a tied embedding, which would be stored twice', async () => {
    const model = parseModel(`
      main (int64[N] ids) => (float[N,8] y)
      < float[8,4] table = normal(seed=1) >
      { e = Gather(table, ids) t = Transpose(table) y = MatMul(e, t) }`);
    const kept = await simplify(model, { foldLimitBytes: 64 }, { engine });
    expect(operators(kept.model)).toContain('Transpose');
    expect(kept.report.skipped[0]?.reason).toContain('128 bytes exceeds the limit of 64');
    const folded = await simplify(model, { foldLimitBytes: 128 }, { engine });
    expect(operators(folded.model)).not.toContain('Transpose');
    await expectEqualOutputs(engine, model, folded.model);
  });
});

describe('models that are odd', () => {
  // ONNX Runtime refuses it, yet such files exist.
  test('a branch that returns a value under a name of the graph around', async () => {
    const model = parseModel(`
      main (float[2] x, bool c) => (float[2] y, float[2] p)
      {
        p = Relu(x)
        y = If(c) <
          then_branch = t () => (float[2] p) { q = Neg(x) p = Identity(q) },
          else_branch = e () => (float[2] r) { s = Abs(x) r = Identity(s) }
        >
      }`);
    const { report } = await simplify(model);
    expect(report.changed.map(({ node }) => node)).toEqual(['r']);
    expect(report.skipped).toEqual([
      { node: 'p', op: 'Identity', reason: 'the graph around has a value "p" too' },
    ]);
  });

  test('a graph without outputs', async () => {
    const model = parseModel('main (float[2] x) => () { y = Relu(x) }');
    const { model: simple, report } = await simplify(model, {}, { engine });
    expect(operators(simple)).toEqual(['Relu']);
    expect(report.notes).toContain('the graph has no outputs, so nothing counts as unused');
  });
});

describe('initializers', () => {
  const shared = `
    main (float[2,2] x) => (float[2,2] y)
    < float[2,2] a = {1, 2, 3, 4}, float[2,2] b = {1, 2, 3, 4} >
    { p = MatMul(x, a) q = Relu(p) r = MatMul(q, b) s = Relu(r) y = MatMul(s, a) }`;

  test('are merged by default and un-shared on request', async () => {
    const model = parseModel(shared);
    const merged = await simplify(model, {}, { engine });
    expect(merged.model.graph.initializers).toHaveLength(1);
    const own = await simplify(model, { unshare: true }, { engine });
    expect(own.model.graph.initializers).toHaveLength(3);
    for (const value of own.model.graph.initializers) expect(value.uses).toHaveLength(1);
    await expectEqualOutputs(engine, model, own.model);
    const twice = await simplify(own.model, { unshare: true }, { engine });
    expect(await printModel(twice.model)).toBe(await printModel(own.model));
  });

  test('of two branches move to the main graph when they are large', async () => {
    const model = parseModel(`
      main (float[1,64] x, bool c) => (float[1,64] y)
      {
        y = If(c) <
          then_branch = t () => (float[1,64] p) <float[64,64] w = normal(seed=1)> { p = MatMul(x, w) },
          else_branch = e () => (float[1,64] q) <float[64,64] u = normal(seed=1)>
          { n = Neg(x) q = MatMul(n, u) }
        >
      }`);
    const { model: simple } = await simplify(model, {}, { engine });
    expect(simple.graph.initializers).toHaveLength(1);
    for (const graph of simple.graph.allGraphs()) {
      if (graph !== simple.graph) expect(graph.initializers).toEqual([]);
    }
    await expectEqualOutputs(engine, model, simple);
  });

  test('of old models are constants, though they are inputs', async () => {
    const model = parseModel(`
      <ir_version: 3, opset_import: ["": 8]>
      main (float[N,1,4] x, float[2,1,1] w, float[2] g, float[2] b, float[2] m, float[2] v)
        => (float[N,2,4] y)
      <
        float[2,1,1] w = {1, 2}, float[2] g = {1, 2}, float[2] b = {3, 4}, float[2] m = {5, 6},
        float[2] v = {7, 8}
      >
      { c = Conv(x, w) y = BatchNormalization(c, g, b, m, v) }`);
    const { model: simple } = await simplify(model, {}, { engine });
    expect(operators(simple)).toEqual(['Conv']);
    expect(simple.graph.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(simple.irVersion).toBe(4);
    await expectEqualOutputs(engine, model, simple);
  });
});
