/**
 * Whether the runtime's integer sums saturate on this machine. x64 without VNNI adds pairs of
 * u8 * s8 products in 16 bits (VPMADDUBSW), which hold 32767, while a pair can be 64770: results are
 * then wrong, without a word. Weights of 7 bits stay below. Asked of the runtime itself, since it
 * chooses its kernels by more than the name of the CPU.
 * https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
 */
import { parseModel } from '../graph/parse.js';
import type { Engine } from './engine.js';
import { hostTensor } from './host-tensor.js';
import { modelSource } from './model-source.js';

const known = new WeakMap<Engine, Promise<boolean>>();

/** @example if (await sumsSaturate(engine)) options = { ...options, reduceRange: true }; */
export function sumsSaturate(engine: Engine): Promise<boolean> {
  const found = known.get(engine) ?? multiplyLargest(engine);
  known.set(engine, found);
  // What was interrupted is asked again.
  found.catch(() => known.delete(engine));
  return found;
}

const length = 64;
const [largestInput, largestWeight] = [255, 127];

async function multiplyLargest(engine: Engine): Promise<boolean> {
  const weights = Array.from({ length }, () => largestWeight).join(',');
  const model = parseModel(`<ir_version: 9, opset_import: ["" : 13]>
    main (uint8[1,${length}] a) => (int32[1,1] y) < int8[${length},1] b = {${weights}} >
    { y = MatMulInteger(a, b) }`);
  const session = await engine.createSession(await modelSource(model), { threads: 1 });
  try {
    const a = hostTensor('uint8', [1, length], new Uint8Array(length).fill(largestInput));
    const { y } = await session.run({ a });
    return Number(y!.data[0]) !== length * largestInput * largestWeight;
  } finally {
    await session.release();
  }
}
