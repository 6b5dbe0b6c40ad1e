import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataType, dataTypes } from '../onnx/data-type.js';
import {
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../onnx/schema/onnx_pb.js';
import { errorOf } from '../testing/error-of.js';
import type { Engine, HostTensor } from './engine.js';
import { hostTensor, randomFeeds } from './host-tensor.js';
import { createNodeEngine } from './node.js';
import { createWasmEngine } from './node-wasm.js';
import { graph, model, node, port, sourceOf, weight } from './test-models.js';

const webInstalled = (() => {
  try {
    return createRequire(import.meta.url).resolve('onnxruntime-web') !== '';
  } catch {
    return false;
  }
})();

const x = (values: number[]) => hostTensor('float', [values.length], Float32Array.from(values));

/** y = x + w, with w = [10, 20]. */
const addModel = sourceOf(
  model({
    nodes: [node('Add', ['x', 'w'], ['y'])],
    inputs: [port('x', 'float', ['N'])],
    outputs: [port('y', 'float', ['N'])],
    weights: [weight('w', 'float', [2], Float32Array.of(10, 20))],
  }),
);

/** A Loop with one matrix product per turn: runs as long as one asks for. */
const loopModel = sourceOf(
  model({
    nodes: [
      node('Loop', ['turns', '', 'x'], ['y'], {
        body: graph({
          nodes: [
            node('Identity', ['go_in'], ['go']),
            node('MatMul', ['a_in', 'a_in'], ['square']),
            node('Clip', ['square', 'low', 'high'], ['a']),
          ],
          inputs: [port('turn', 'int64', []), port('go_in', 'bool', []), port('a_in', 'float')],
          outputs: [port('go', 'bool', []), port('a', 'float')],
          weights: [
            weight('low', 'float', [], Float32Array.of(-1)),
            weight('high', 'float', [], Float32Array.of(1)),
          ],
        }),
      }),
    ],
    inputs: [port('turns', 'int64', []), port('x', 'float', [128, 128])],
    outputs: [port('y', 'float', [128, 128])],
  }),
);
const loopFeeds = (turns: number) => ({
  turns: hostTensor('int64', [], BigInt64Array.of(BigInt(turns))),
  x: hostTensor('float', [128, 128], new Float32Array(128 * 128).fill(0.01)),
});

/** Conv with a bias, then Relu. */
const convRelu = sourceOf(
  model({
    nodes: [node('Conv', ['x', 'w', 'b'], ['c']), node('Relu', ['c'], ['y'])],
    inputs: [port('x', 'float', ['N', 1, 8, 8])],
    outputs: [port('y', 'float', ['N', 2, 6, 6])],
    weights: [
      weight('w', 'float', [2, 1, 3, 3], new Float32Array(18).fill(0.5)),
      weight('b', 'float', [2], Float32Array.of(1, -1)),
    ],
  }),
);

/** What both engines promise. What one of them has for itself is tested beside it. */
const engines = [
  { name: 'onnxruntime-node', createEngine: createNodeEngine, skip: false },
  {
    name: webInstalled ? 'onnxruntime-web' : 'SKIPPED: onnxruntime-web is not installed',
    createEngine: createWasmEngine,
    skip: !webInstalled,
  },
];

for (const { name, createEngine, skip } of engines) {
  describe.skipIf(skip)(name, () => contract(createEngine));
}

function contract(createEngine: typeof createNodeEngine) {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ threads: 1 });
  });
  // A machine under load may still be compiling the WASM code in the background.
  afterAll(() => engine.close(), 30_000);

  describe('sessions', () => {
    it('tells the ports and runs', async () => {
      const session = await engine.createSession(addModel);
      expect(session.inputs).toEqual([{ name: 'x', dataType: 'float', dims: ['N'] }]);
      // The runtime infers 2 from the weight, and takes it over the name that the model declares.
      expect(session.outputs).toEqual([{ name: 'y', dataType: 'float', dims: [2] }]);
      const { y } = await session.run({ x: x([1, 2]) });
      expect(y).toEqual(hostTensor('float', [2], Float32Array.of(11, 22)));
      await session.release();
    });

    it('copies feeds, also views of a larger or a shared buffer', async () => {
      const session = await engine.createSession(addModel);
      const large = Float32Array.of(9, 9, 1, 2, 9);
      const shared = new Float32Array(new SharedArrayBuffer(8));
      shared.set([3, 4]);
      const view = large.subarray(2, 4);
      const first = session.run({ x: hostTensor('float', [2], view) });
      view.fill(0);
      expect((await first).y?.data).toEqual(Float32Array.of(11, 22));
      expect(large).toHaveLength(5);
      const second = await session.run({ x: hostTensor('float', [2], shared) });
      expect(second.y?.data).toEqual(Float32Array.of(13, 24));
      await session.release();
    });

    it('joins the parts of a model', async () => {
      const bytes = addModel.parts[0]!;
      const parts = [bytes.subarray(0, 7), bytes.subarray(7, 8), bytes.subarray(8)];
      const session = await engine.createSession({ parts });
      expect((await session.run({ x: x([0, 0]) })).y?.data).toEqual(Float32Array.of(10, 20));
      expect(bytes.byteLength).toBeGreaterThan(8);
      await session.release();
    });

    it('keeps concurrent sessions apart', async () => {
      const sessions = await Promise.all([1, 2, 3].map(() => engine.createSession(addModel)));
      const runs = sessions.flatMap((session, i) =>
        [0, 1, 2, 3].map(async (j) => (await session.run({ x: x([i, j]) })).y?.data),
      );
      const expected = [0, 1, 2].flatMap((i) =>
        [0, 1, 2, 3].map((j) => Float32Array.of(10 + i, 20 + j)),
      );
      expect(await Promise.all(runs)).toEqual(expected);
      await Promise.all(sessions.map((session) => session.release()));
    });

    it('returns only the fetches that were asked for', async () => {
      const two = sourceOf(
        model({
          nodes: [node('Neg', ['x'], ['a']), node('Abs', ['x'], ['b'])],
          inputs: [port('x', 'float', [1])],
          outputs: [port('a', 'float', [1]), port('b', 'float', [1])],
        }),
      );
      const session = await engine.createSession(two);
      expect(Object.keys(await session.run({ x: x([-1]) }))).toEqual(['a', 'b']);
      expect(Object.keys(await session.run({ x: x([-1]) }, ['b']))).toEqual(['b']);
      expect(await session.run({ x: x([-1]) }, [])).toEqual({});
      const error = await errorOf(session.run({ x: x([-1]) }, ['c']));
      expect(error.message).toContain('"c"');
      expect(error.hint).toContain('"a"');
      await session.release();
    });

    it('releases twice, and refuses a run afterwards', async () => {
      const session = await engine.createSession(addModel);
      await Promise.all([session.release(), session.release()]);
      await session.release();
      const error = await errorOf(session.run({ x: x([1, 2]) }));
      expect(error.code).toBe('engine');
      expect(error.message).toContain('released');
    });

    it('lets a run end that was asked for before the release', async () => {
      const session = await engine.createSession(addModel);
      const run = session.run({ x: x([1, 2]) });
      await session.release();
      expect((await run).y?.data).toEqual(Float32Array.of(11, 22));
    });
  });

  describe('types at the border', () => {
    const samples: readonly [DataType, HostTensor['data']][] = [
      ['float', Float32Array.of(-1.5, 3)],
      ['double', Float64Array.of(-1.5, 3)],
      ['float16', Uint16Array.of(0x3c00, 0xc000)],
      ['int8', Int8Array.of(-128, 127)],
      ['uint8', Uint8Array.of(0, 255)],
      ['int16', Int16Array.of(-32768, 32767)],
      ['uint16', Uint16Array.of(0, 65535)],
      ['int32', Int32Array.of(-5, 2 ** 31 - 1)],
      ['uint32', Uint32Array.of(0, 2 ** 32 - 1)],
      ['int64', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
      ['uint64', BigUint64Array.of(0n, 2n ** 64n - 1n)],
      ['bool', Uint8Array.of(1, 0)],
      ['string', ['', 'größer']],
    ];
    it.each(samples)('%s goes in and comes out', async (dataType, data) => {
      const identity = sourceOf(
        model({
          nodes: [node('Identity', ['x'], ['y'])],
          inputs: [port('x', dataType, [2])],
          outputs: [port('y', dataType, [2])],
        }),
      );
      const session = await engine.createSession(identity);
      expect(session.inputs[0]).toEqual({ name: 'x', dataType, dims: [2] });
      const { y } = await session.run({ x: hostTensor(dataType, [2], data) });
      // toEqual ignores the class of the array; the constructor is what the border promises.
      expect(y?.data.constructor).toBe(dataTypes[dataType].array ?? Array);
      expect(y).toEqual({ dataType, dims: [2], data });
      await session.release();
    });

    it('passes empty tensors and scalars', async () => {
      const session = await engine.createSession(
        sourceOf(
          model({
            nodes: [node('Neg', ['x'], ['y']), node('Neg', ['s'], ['t'])],
            inputs: [port('x', 'float', ['N', 0]), port('s', 'float', [])],
            outputs: [port('y', 'float'), port('t', 'float')],
          }),
        ),
      );
      const empty = hostTensor('float', [3, 0], new Float32Array(0));
      const scalar = hostTensor('float', [], Float32Array.of(2));
      const { y, t } = await session.run({ x: empty, s: scalar });
      expect(y).toEqual(empty);
      expect(t).toEqual(hostTensor('float', [], Float32Array.of(-2)));
      await session.release();
    });

    it('names the types that cannot cross', async () => {
      const session = await engine.createSession(addModel);
      const bits = { dataType: 'bfloat16', dims: [2], data: new Uint16Array(2) } as const;
      const error = await errorOf(session.run({ x: bits }));
      expect(error.code).toBe('data-mismatch');
      expect(error.message).toContain('"x" float[N]');
      expect(error.message).toContain('bfloat16[2]');
      await session.release();
    });
  });

  describe('errors', () => {
    it('refuses feeds that do not fit, with both shapes', async () => {
      const session = await engine.createSession(addModel);
      const missing = await errorOf(session.run({}));
      expect(missing.message).toContain('no tensor for the input "x" float[N]');
      const rank = await errorOf(
        session.run({ x: hostTensor('float', [1, 2], new Float32Array(2)) }),
      );
      expect(rank.message).toContain('float[N] is fed float[1,2]');
      const unknown = await errorOf(session.run({ x: x([1, 2]), z: x([1]) }));
      expect(unknown.message).toContain('no input "z"');
      expect(unknown.hint).toContain('"x"');
      const short = await errorOf(
        session.run({ x: { dataType: 'float', dims: [3], data: new Float32Array(2) } }),
      );
      expect(short.message).toContain('2 elements, dims [3] need 3');
      await session.release();
    });

    it('says why a run failed and leaves out the sources of the runtime', async () => {
      const session = await engine.createSession(addModel);
      const error = await errorOf(session.run({ x: x([1, 2, 3]) }));
      expect(error.code).toBe('engine');
      expect(error.message).toMatch(/^run: .*2 by 3/);
      expect(error.message).not.toMatch(/\.cc:|\.h:|Status Message|Non-zero/);
      await session.release();
    });

    it('explains bytes that are no model, an unknown operator and a missing file', async () => {
      const garbage = await errorOf(
        engine.createSession({ parts: [new Uint8Array(100).fill(255)] }),
      );
      expect(garbage.code).toBe('engine');
      expect(garbage.hint).toContain('not an ONNX model');
      const unknown = model({
        nodes: [node('Frobnicate', [], ['y'])],
        outputs: [port('y', 'float')],
      });
      const operator = await errorOf(engine.createSession(sourceOf(unknown)));
      expect(operator.message).toContain('Frobnicate');
      expect(operator.hint).toContain('operator');
      const missing = await errorOf(engine.createSession({ path: '/nowhere/model.onnx' }));
      expect(missing.code).toBe('io');
      expect(missing.where.file).toBe('/nowhere/model.onnx');
    });

    it('refuses a number of threads that makes no sense', async () => {
      expect((await errorOf(createEngine({ threads: 0 }))).code).toBe('usage');
      expect((await errorOf(engine.createSession(addModel, { threads: 1.5 }))).code).toBe('usage');
    });
  });

  describe('external data', () => {
    const externalModel = (location: string) => {
      const message = model({
        nodes: [node('Add', ['x', 'w'], ['y'])],
        inputs: [port('x', 'float', [2])],
        outputs: [port('y', 'float', [2])],
      });
      message.graph!.initializer.push(
        create(TensorProtoSchema, {
          name: 'w',
          dataType: 1,
          dims: [2n],
          dataLocation: TensorProto_DataLocation.EXTERNAL,
          externalData: [
            { key: 'location', value: location },
            { key: 'offset', value: '4' },
            { key: 'length', value: '8' },
          ],
        }),
      );
      return message;
    };
    const data = new Uint8Array(Float32Array.of(0, 7, 8).buffer);

    it('is taken from memory', async () => {
      const session = await engine.createSession({
        ...sourceOf(externalModel('w.bin')),
        externalData: new Map([['w.bin', [data.subarray(0, 5), data.subarray(5)]]]),
      });
      expect((await session.run({ x: x([1, 1]) })).y?.data).toEqual(Float32Array.of(8, 9));
      await session.release();
    });

    it('is found beside a path, and its absence is an error', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'pare-test-'));
      try {
        const path = join(folder, 'model.onnx');
        await writeFile(path, toBinary(ModelProtoSchema, externalModel('w.bin')));
        const error = await errorOf(engine.createSession({ path }));
        expect(error.where.file).toContain(folder);
        expect(error.message).toContain('w.bin');
        await writeFile(join(folder, 'w.bin'), data);
        const session = await engine.createSession({ path });
        expect((await session.run({ x: x([1, 1]) })).y?.data).toEqual(Float32Array.of(8, 9));
        await session.release();
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  });

  describe('the thread', () => {
    it('leaves the event loop free during a run', async () => {
      const session = await engine.createSession(loopModel);
      let ticks = 0;
      let running = true;
      const tick = () => {
        ticks++;
        if (running) setImmediate(tick);
      };
      const run = session.run(loopFeeds(200)).finally(() => {
        running = false;
      });
      setImmediate(tick);
      await run;
      // With the run on this thread, the loop would turn once before it and once after it.
      expect(ticks).toBeGreaterThan(20);
      await session.release();
    });

    it('cancels a run that waits for its turn, and only that', async () => {
      const session = await engine.createSession(loopModel);
      const controller = new AbortController();
      const first = session.run(loopFeeds(50));
      const second = session.run(loopFeeds(1), undefined, { signal: controller.signal });
      const third = session.run(loopFeeds(1));
      controller.abort();
      expect((await errorOf(second)).code).toBe('aborted');
      expect((await first).y?.dims).toEqual([128, 128]);
      expect((await third).y?.dims).toEqual([128, 128]);
      const late = session.run(loopFeeds(1), undefined, { signal: controller.signal });
      expect((await errorOf(late)).code).toBe('aborted');
      await session.release();
    });

    it('closes in a run: that run ends well, waiting ones are refused, later ones too', async () => {
      const own = await createEngine({ threads: 1 });
      const session = await own.createSession(loopModel);
      const running = session.run(loopFeeds(20));
      const waiting = session.run(loopFeeds(1));
      const closed = own.close();
      expect((await errorOf(waiting)).message).toContain('closed');
      expect((await running).y?.dims).toEqual([128, 128]);
      await closed;
      await own.close();
      await session.release();
      expect((await errorOf(own.createSession(addModel))).message).toContain('closed');
    });
  });

  describe('time', () => {
    it('gives one number per round and session', async () => {
      const a = await engine.createSession(addModel);
      const b = await engine.createSession(addModel);
      const entries = [a, b].map((session) => ({ session, feeds: { x: x([1, 2]) } }));
      const times = await engine.time(entries, { warmup: 2, rounds: 5 });
      expect(times.map((each) => each.length)).toEqual([5, 5]);
      expect(times.every((each) => each.every((ms) => ms > 0))).toBe(true);
      const once = await engine.time(entries, { warmup: 0, rounds: 1000, maxMs: 0 });
      expect(once.map((each) => each.length)).toEqual([1, 1]);
      await a.release();
      expect((await errorOf(engine.time(entries, { warmup: 0, rounds: 1 }))).code).toBe('engine');
      await b.release();
    });

    it('stops at an abort', async () => {
      const session = await engine.createSession(addModel);
      const controller = new AbortController();
      const entries = [{ session, feeds: { x: x([1, 2]) } }];
      const timing = engine.time(entries, { warmup: 0, rounds: 1e9, signal: controller.signal });
      setTimeout(() => controller.abort(), 20);
      expect((await errorOf(timing)).code).toBe('aborted');
      await session.release();
    });
  });

  describe('what the runtime did', () => {
    it('profiles by node, without the first run', async () => {
      const session = await engine.createSession(convRelu);
      const feeds = randomFeeds(session.inputs);
      await session.release();
      const rows = await engine.profile(convRelu, feeds, { optimization: 'basic', runs: 3 });
      expect(rows.map(({ node: name, opType }) => [name, opType])).toEqual([
        ['c', 'Conv'],
        ['y', 'Relu'],
      ]);
      for (const row of rows) {
        expect(row).toMatchObject({ calls: 3, provider: 'CPUExecutionProvider', outputBytes: 288 });
        expect(row.totalUs).toBeGreaterThanOrEqual(0);
      }
      expect(rows[0]?.parameterBytes).toBe(80);
    });

    it('counts the turns of a loop body as calls', async () => {
      const rows = await engine.profile(loopModel, loopFeeds(4), { runs: 2 });
      expect(rows.find(({ opType }) => opType === 'MatMul')?.calls).toBe(8);
      expect(rows.find(({ opType }) => opType === 'Loop')?.calls).toBe(2);
    });

    it('measures peak memory in a process of its own', async () => {
      const large = 8_000_000;
      const big = sourceOf(
        model({
          nodes: [node('Expand', ['x', 'dims'], ['y'])],
          inputs: [port('x', 'float', [1])],
          outputs: [port('y', 'float')],
          weights: [weight('dims', 'int64', [1], BigInt64Array.of(BigInt(large)))],
        }),
      );
      const measured = await engine.peakMemory!(big, { x: x([1]) }, { runs: 1 });
      expect(measured.baselineBytes).toBeGreaterThan(1e6);
      // Such an output is 32 MB, and there is a copy of it for JavaScript.
      expect(measured.peakBytes - measured.baselineBytes).toBeGreaterThan(large * 4);
      const wrong = await errorOf(engine.peakMemory!(big, { z: x([1]) }));
      expect(wrong.message).toContain('x');
    });
  });
}
