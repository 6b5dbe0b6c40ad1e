/**
 * Adapters beside weights of MatMul and Gemm: nothing changes before training, the merged model
 * computes what the one with adapters does, and zeros of pruned weights stay.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, HostTensor } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom } from '../random.js';
import { firstOutput } from '../testing/node-models.js';
import { type AdapterOptions, addAdapters, mergeAdapters } from './adapters.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Every form of a product: plain, scaled, transposed, one weight twice, one also looked up. */
const network = (): Model =>
  parseModel(`
main (float[N,6] x) => (float[N,6] y)
<
  float[6,8] plain = normal(seed=1, mean=0, std=1),
  float[8,6] scaled = normal(seed=2, mean=0, std=1),
  float[6,6] turned = normal(seed=3, mean=0, std=1),
  float[6] bias = normal(seed=4, mean=0, std=1),
  float[6,6] twice = normal(seed=5, mean=0, std=1),
  float[6,6] table = normal(seed=6, mean=0, std=1),
  int64 id = {2}
>
{
  [one] a = MatMul(x, plain)
  [two] b = Gemm<alpha = 0.5>(a, scaled, bias)
  r = Softplus(b)
  [three] c = Gemm<transB = 1, alpha = 2.0>(r, turned)
  [four] d = MatMul(c, twice)
  t = Tanh(d)
  [five] e = MatMul(t, twice)
  row = Gather(table, id)
  f = Add(e, row)
  [six] y = MatMul(f, table)
}`);

const options = (more: Partial<AdapterOptions> = {}): AdapterOptions => ({
  rank: 2,
  masked: new Set(),
  seed: 1,
  ...more,
});

/** A third of the weight is pruned. */
async function prune(model: Model, name: string): Promise<void> {
  const value = model.graph.value(name);
  const { dims } = value.initializer!;
  const numbers = await value.initializer!.floats();
  value.initializer = Tensor.of(
    'float',
    dims,
    numbers.map((number, at) => (at % 3 === 0 ? 0 : number)),
  );
}

/** Gives the adapters numbers, as training would. */
function train(model: Model, names: readonly string[]): Record<string, HostTensor> {
  const random = createRandom(9);
  const trained: Record<string, HostTensor> = {};
  for (const name of names) {
    const value = model.graph.value(name);
    const { dims, size } = value.initializer!;
    const numbers = Float32Array.from({ length: size }, () => random.normal() / 2);
    value.initializer = Tensor.of('float', dims, numbers);
    trained[name] = hostTensor('float', dims, numbers);
  }
  return trained;
}

test('adapters change nothing at first, and merged they change the same', async () => {
  const base = network();
  for (const name of ['plain', 'turned']) await prune(base, name);
  const adapted = cloneModel(base);
  const masked = new Set(['plain', 'turned']);
  const adapters = await addAdapters(adapted, options({ alpha: 3, masked }));
  expect(adapters.list.map(({ weight }) => weight)).toEqual(['plain', 'scaled', 'turned', 'twice']);
  expect(adapters.skipped).toEqual([
    { name: 'table', reason: expect.stringMatching(/also used by .*Gather/) },
  ]);
  const before = await firstOutput(engine, base);
  expect(await firstOutput(engine, adapted)).toEqual(before);
  const names = adapters.list.flatMap(({ a, b }) => [a, b]);
  const merged = await mergeAdapters(adapters, train(adapted, names), base, engine);
  const result = cloneModel(base);
  for (const [name, { dims, data }] of Object.entries(merged)) {
    result.graph.value(name).initializer = Tensor.of('float', dims, data as Float32Array);
  }
  const expected = await firstOutput(engine, adapted);
  const computed = await firstOutput(engine, result);
  const largest = Math.max(...expected.map(Math.abs));
  expect(Math.max(...expected.map((y, at) => Math.abs(y - before[at]!)))).toBeGreaterThan(0.1);
  for (const [at, y] of expected.entries()) {
    expect(Math.abs(computed[at]! - y)).toBeLessThan(2e-6 * largest);
  }
  for (const name of masked) {
    const [old, now] = [base, result].map(({ graph }) => graph.value(name).initializer!);
    const numbers = await now!.floats();
    for (const [at, number] of (await old!.floats()).entries()) {
      expect(numbers[at] === 0).toBe(number === 0);
    }
  }
});

test('targets are chosen by node, and what has no adapter has a reason', async () => {
  const chosen = await addAdapters(network(), options({ targets: ['t*'], freeze: ['two'] }));
  expect(chosen.list.map(({ weight }) => weight)).toEqual(['turned']);
  expect(chosen.skipped.slice(0, 3)).toEqual([
    { name: 'plain', reason: 'is not among the targets' },
    { name: 'scaled', reason: 'is frozen by the caller' },
    { name: 'twice', reason: 'is not among the targets' },
  ]);
  await expect(addAdapters(network(), options({ targets: ['conv*'] }))).rejects.toThrow(
    /lora-targets: "conv\*" matches no node/,
  );
  await expect(addAdapters(network(), options({ rank: 6 }))).rejects.toMatchObject({
    code: 'unsupported',
    hint: '"plain" is [6,8], and a rank of 6 is no less',
  });
});
