/**
 * Whether integer sums saturate on this machine: x64 without VNNI adds pairs of u8 * s8 products in
 * 16 bits. Tests of accuracy then quantize weights to 7 bits, which cannot saturate.
 * For tests only; not part of the library's interface.
 */
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { parseModel } from '../graph/parse.js';
import { runModel } from './node-models.js';

const known = new WeakMap<Engine, Promise<boolean>>();

export function sumsSaturate(engine: Engine): Promise<boolean> {
  const found = known.get(engine) ?? multiplyLargest(engine);
  known.set(engine, found);
  return found;
}

/** 7 bits where the machine needs them and the options say nothing of it. */
export async function safeWeights<T extends object>(engine: Engine, options: T): Promise<T> {
  const { weights = 'int8', reduceRange } = options as { weights?: string; reduceRange?: boolean };
  const isOpen = reduceRange === undefined && weights === 'int8';
  return isOpen && (await sumsSaturate(engine)) ? { ...options, reduceRange: true } : options;
}

const length = 64;

async function multiplyLargest(engine: Engine): Promise<boolean> {
  const largest = Array.from({ length }, () => 127).join(',');
  const model = parseModel(`<ir_version: 9, opset_import: ["" : 13]>
    main (uint8[1,${length}] a) => (int32[1,1] y) < int8[${length},1] b = {${largest}} >
    { y = MatMulInteger(a, b) }`);
  const a = hostTensor('uint8', [1, length], new Uint8Array(length).fill(255));
  const { outputs } = await runModel(engine, model, { a });
  return Number(outputs.y!.data[0]) !== length * 255 * 127;
}
