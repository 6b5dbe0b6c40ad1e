/**
 * How many channels the runtime's blocked convolutions take side by side on this machine: 16 with
 * AVX-512, 8 with AVX2. Asked of the runtime itself: convolutions of every form are run in blocks
 * of each size and as they are, and the results must be the same. A runtime without the layout
 * (WebAssembly) refuses the model, and then nothing is blocked.
 */
import type { Engine, HostTensor } from '../../engine/engine.js';
import { randomFeeds } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError } from '../../errors.js';
import { Emitter } from '../../graph/emitter.js';
import { Model } from '../../graph/model.js';
import { tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { useBlocks } from './use-blocks.js';

/** Most first: a larger block that works is the one of the machine. */
const sizes = [16, 8];
const known = new WeakMap<Engine, Promise<number | undefined>>();

/** Channels per block, or undefined where convolutions stay as they are. */
export function findBlock(engine: Engine): Promise<number | undefined> {
  const found = known.get(engine) ?? tryAll(engine);
  known.set(engine, found);
  // What was interrupted is asked again.
  found.catch(() => known.delete(engine));
  return found;
}

async function tryAll(engine: Engine): Promise<number | undefined> {
  for (const size of sizes) {
    const plain = probe(size);
    const blocked = probe(size);
    useBlocks(blocked, size);
    const feeds = { x: randomTensor([1, 2 * size, 5, 5], 1) };
    const expected = await outputsOf(engine, plain, feeds);
    try {
      if (isClose(await outputsOf(engine, blocked, feeds), expected)) return size;
    } catch (error) {
      if (!(error instanceof PareError) || error.code !== 'engine') throw error;
      return undefined;
    }
  }
  return undefined;
}

/** A convolution of every form: few channels, full, depthwise. */
function probe(block: number): Model {
  const channels = 2 * block;
  const model = new Model({ opsets: [['', 18]], irVersion: 9 });
  const { graph } = model;
  graph.name = 'blocks';
  const e = new Emitter(graph, { scope: 'probe' });
  const x = graph.addInput('x', tensorType('float', [1, channels, 5, 5]));
  const few = e.slice(x, [0], [3], [1]);
  few.type = tensorType('float', [1, 3, 5, 5]);
  const inputs = [
    { input: few, dims: [channels, 3, 3, 3], group: 1 },
    { input: x, dims: [channels, channels, 3, 3], group: 1 },
    { input: x, dims: [channels, 1, 3, 3], group: channels },
  ];
  for (const [at, { input, dims, group }] of inputs.entries()) {
    const { data } = randomTensor(dims, at + 2);
    const weight = graph.addInitializer(`w${at}`, Tensor.of('float', dims, data as Float32Array));
    const y = e.op('Conv', [input, weight], { group, pads: [1, 1, 1, 1] });
    y.type = tensorType('float', [1, channels, 5, 5]);
    graph.outputs.push(y);
  }
  return model;
}

function randomTensor(dims: number[], seed: number): HostTensor {
  return randomFeeds([{ name: 'x', dataType: 'float', dims }], { seed }).x!;
}

async function outputsOf(engine: Engine, model: Model, feeds: Record<string, HostTensor>) {
  const session = await engine.createSession(await modelSource(model), { threads: 1 });
  try {
    const results = await session.run(feeds);
    return session.outputs.map(({ name }) => results[name]!.data as Float32Array);
  } finally {
    await session.release();
  }
}

/** Sums in another order differ in the last bits; another layout differs in everything. */
function isClose(a: readonly Float32Array[], b: readonly Float32Array[]): boolean {
  return a.every((each, at) => each.every((number, i) => Math.abs(number - b[at]![i]!) < 1e-4));
}
