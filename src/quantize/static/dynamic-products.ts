/**
 * Matrix products whose activations are quantized in every run, inside a statically quantized
 * model: as fast as static ones on CPUs, and no range to be wrong about. Some lose too much even
 * so (a power spectrum in front of a logarithm spans more than 8 bits): these are found by running
 * the model with and without groups of them, and stay float.
 *
 * A group passes when it disturbs the outputs by no more than its share of the noise that all may
 * make together; one that does not is halved. With few harmful nodes that takes some log2(n) runs
 * each instead of n (adaptive group testing; R. Dorfman, 1943, tests groups of blood samples).
 * kwt1, 78 products, one harmful: 15 models in place of 78.
 */
import type { Engine, Feeds, HostTensor, Target } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError, throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import { dataTypes } from '../../onnx/data-type.js';
import { kernelTimes } from '../../ops/kernel-times.js';
import { type PassContext, type PassReport, requireEngine } from '../../pass.js';
import { dynamicMatMul } from '../dynamic/mat-mul.js';
import type { DynamicOptions } from '../dynamic/options.js';
import { findWeight } from '../find-weight.js';
import { runScheme } from '../scheme.js';

/** Noise that all products together may add to the outputs, in dB below them. */
export const leastSnr = 20;
/** The first ones of the calibration; harm to the outputs shows in few. */
const mostSamples = 16;

export interface FoundProducts {
  readonly harmless: readonly string[];
  /** SNR of the outputs with this one alone, in dB. */
  readonly harmful: ReadonlyMap<string, number>;
}

type Rewrite = Pick<DynamicOptions, 'perChannel' | 'reduceRange'>;

/** @param labels of MatMul nodes of the main graph, in graph order */
export async function findProducts(
  model: Model,
  labels: readonly string[],
  options: Rewrite,
  context: PassContext,
): Promise<FoundProducts> {
  const harmful = new Map<string, number>();
  if (labels.length === 0) return { harmless: [], harmful };
  const engine = requireEngine(context, 'static');
  const feeds = await firstSamples(context);
  const reference = await runAll(engine, model, feeds, context);
  const task = context.progress.task('look for harmful products', labels.length);
  let done = 0;
  const measure = async (group: readonly string[]): Promise<number> => {
    throwIfAborted(context.signal);
    const copy = cloneModel(model);
    await quantizeProducts(copy, group, options, context);
    return snrOf(reference, await runAll(engine, copy, feeds, context));
  };
  /** Those that make more than their share of the noise alone, and are not harmful yet. */
  const loud = new Map<string, number>();
  const test = async (group: readonly string[]): Promise<string[]> => {
    const snr = await measure(group);
    const passes = snr >= leastSnr + 10 * Math.log10(labels.length / group.length);
    if (!passes && group.length > 1) {
      const middle = group.length >> 1;
      return [...(await test(group.slice(0, middle))), ...(await test(group.slice(middle)))];
    }
    task.update((done += group.length));
    if (passes) return [...group];
    const [label = ''] = group;
    (snr < leastSnr ? harmful : loud).set(label, snr);
    return snr < leastSnr ? [] : [label];
  };
  try {
    let harmless = await test(labels);
    // Loud ones are borne as long as all together are.
    for (const [label, snr] of [...loud].sort(([, a], [, b]) => a - b)) {
      if ((await measure(harmless)) >= leastSnr) break;
      harmful.set(label, snr);
      harmless = harmless.filter((each) => each !== label);
    }
    return { harmless, harmful };
  } finally {
    task.end();
  }
}

/**
 * Why a MatMul cannot be quantized so, or gains nothing from it by estimate for the target; no
 * estimate counts where `everywhere` is set.
 */
export async function whyNotDynamic(
  node: Node,
  target: Target,
  everywhere: boolean,
): Promise<string | undefined> {
  const weight = await findWeight(node, 1);
  if ('reason' in weight) return weight.reason;
  if (weight.dims.length < 2) return 'its weight is a vector';
  if (weight.dataType !== 'float') return `its weight is ${weight.dataType}`;
  const times = everywhere ? undefined : kernelTimes(target);
  const estimate = times?.product(node, weight.dims, weight.dims.length - 1);
  const pays = !estimate || estimate.integer < estimate.float;
  return pays ? undefined : 'float is faster here by estimate (option placement)';
}

/** On this model itself; what was done is in the report's `changed`. */
export async function quantizeProducts(
  model: Model,
  labels: readonly string[],
  { perChannel, reduceRange }: Rewrite,
  context: PassContext,
): Promise<Pick<PassReport, 'changed'>> {
  if (labels.length === 0) return { changed: [] };
  const wanted = new Set(labels);
  return runScheme(model, {
    rewrites: {
      MatMul: async (node, rewriter, options) =>
        wanted.has(node.label)
          ? dynamicMatMul(node, rewriter, options)
          : { reason: 'not one of the products asked for' },
    },
    options: {
      include: [],
      exclude: [],
      perChannel,
      reduceRange,
      minElements: 0,
      conv: false,
      embeddings: false,
    },
    context,
    opset: 11,
  });
}

async function firstSamples({ samples }: PassContext): Promise<Feeds[]> {
  const feeds: Feeds[] = [];
  for await (const sample of samples?.() ?? []) {
    feeds.push(sample);
    if (feeds.length === mostSamples) break;
  }
  if (feeds.length > 0) return feeds;
  throw new PareError('usage', 'static: there is no sample to try the matrix products on', {
    hint: 'give samples with --data, or leave the products float with --mat-mul float',
  });
}

async function runAll(
  engine: Engine,
  model: Model,
  feeds: readonly Feeds[],
  { signal }: PassContext,
): Promise<Record<string, HostTensor>[]> {
  const session = await engine.createSession(await modelSource(model), { signal });
  try {
    const results: Record<string, HostTensor>[] = [];
    for (const each of feeds) results.push(await session.run(each, undefined, { signal }));
    return results;
  } finally {
    await session.release();
  }
}

/** Of the worst output, in dB, over all samples. */
function snrOf(
  reference: readonly Record<string, HostTensor>[],
  actual: readonly Record<string, HostTensor>[],
): number {
  let worst = Number.POSITIVE_INFINITY;
  for (const name of Object.keys(reference[0]!)) {
    if (dataTypes[reference[0]![name]!.dataType].kind !== 'float') continue;
    let signal = 0;
    let noise = 0;
    for (const [at, outputs] of reference.entries()) {
      const other = float32Of(actual[at]![name]!);
      for (const [i, expected] of float32Of(outputs[name]!).entries()) {
        signal += expected * expected;
        noise += (other[i]! - expected) ** 2;
      }
    }
    const ratio = noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
    // A NaN that only one of them has is as bad as it gets.
    worst = Math.min(worst, Number.isNaN(ratio) ? Number.NEGATIVE_INFINITY : ratio);
  }
  return worst;
}
