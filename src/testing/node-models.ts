/**
 * Running and comparing small models in tests: outputs, noise, and what the runtime made of a
 * graph. For tests only; not part of the library's interface.
 */
import type { Engine, Feeds, HostTensor, OptimizationLevel } from '../engine/engine.js';
import { float32Of, randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import type { Graph } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import { bytesSource } from '../onnx/byte-source.js';
import { decodeModel } from '../onnx/decode.js';

/** Runs the model once, on `feeds` or on seeded random inputs. */
export async function runModel(
  engine: Engine,
  model: Model,
  feeds?: Feeds,
  optimization: OptimizationLevel = 'all',
): Promise<{ feeds: Feeds; outputs: Record<string, HostTensor> }> {
  const session = await engine.createSession(await modelSource(model), { optimization });
  try {
    const given = feeds ?? randomFeeds(session.inputs, { seed: 1 });
    return { feeds: given, outputs: await session.run(given) };
  } finally {
    await session.release();
  }
}

/** The numbers of the first output. */
export async function firstOutput(
  engine: Engine,
  model: Model,
  feeds?: Feeds,
  optimization?: OptimizationLevel,
): Promise<Float32Array> {
  const { outputs } = await runModel(engine, model, feeds, optimization);
  return float32Of(outputs[model.graph.outputs[0]!.name]!);
}

/** How often each operator occurs in the graph that the runtime makes of the model. */
export async function optimizedOps(
  engine: Engine,
  model: Model,
  optimization: OptimizationLevel = 'extended',
): Promise<Record<string, number>> {
  const bytes = await engine.optimized(await modelSource(model), { optimization });
  const { graph } = await decodeModel(bytesSource(bytes));
  return countBy(graph!.node.map(({ opType }) => opType));
}

/** How often each operator occurs in the model, subgraphs included. */
export function opsOf(model: Model): Record<string, number> {
  return countBy([...model.graph.allNodes()].map(({ opType }) => opType));
}

/** Names of values that a node takes before any node makes them; a valid model has none. */
export function usedTooEarly(graph: Graph, outside: ReadonlySet<string> = new Set()): string[] {
  const known = new Set(outside);
  for (const value of [...graph.inputs, ...graph.initializers]) known.add(value.name);
  const early: string[] = [];
  for (const node of graph.nodes) {
    for (const input of node.inputs) if (input && !known.has(input.name)) early.push(input.name);
    for (const inner of node.subgraphs) early.push(...usedTooEarly(inner, known));
    for (const output of node.outputs) if (output) known.add(output.name);
  }
  return early;
}

/** Bytes of the file. */
export async function fileBytes(model: Model): Promise<number> {
  const source = await modelSource(model);
  return 'parts' in source ? source.parts.reduce((sum, part) => sum + part.length, 0) : 0;
}

/** Root mean square of a difference, or of numbers. */
export function rms(a: Float32Array, b?: Float32Array): number {
  let sum = 0;
  for (const [i, value] of a.entries()) sum += (value - (b ? b[i]! : 0)) ** 2;
  return Math.sqrt(sum / a.length);
}

/** Signal to noise in dB. */
export function snr(signal: Float32Array, other: Float32Array): number {
  return 20 * Math.log10(rms(signal) / rms(signal, other));
}

/**
 * The root mean square of the error that rounding x to 8 bits over its range, and w to 8 bits
 * over its magnitude, makes in a sum of `terms` products x*w: every rounding error is uniform in
 * one step of its scale, and so has a variance of scale^2 / 12.
 */
export function expectedNoise(x: Float32Array, w: Float32Array, terms: number): number {
  const xScale = (Math.max(0, ...x) - Math.min(0, ...x)) / 255;
  const wScale = Math.max(...w.map(Math.abs)) / 127;
  return Math.sqrt((terms / 12) * ((rms(x) * wScale) ** 2 + (rms(w) * xScale) ** 2));
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
