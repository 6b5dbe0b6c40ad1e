/**
 * Repairs a model behind a cut without training: layer by layer in the order of the data, each is
 * fitted so that it gives with the inputs that it has now what it gave before. The layers before it
 * are fitted by then, so their errors are seen and made good as far as a linear layer can.
 *
 * Sources: Dong et al., "Learning to Prune Deep Neural Networks via Layer-wise Optimal Brain
 * Surgeon" (2017) and He et al., "Channel Pruning for Accelerating Very Deep Neural Networks"
 * (2017), section 3.1, for the least squares; the re-estimation of BatchNormalization is that of
 * NNCF, taken as a change against the original, so that samples which are not those of the training
 * do not move what the cut has not moved.
 */
import { PareError, throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Value } from '../../graph/value.js';
import { byteLengthOf, elementCount } from '../../onnx/data-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { channelNormalizations } from '../../ops/channel-normalizations.js';
import type { TypeLookup } from '../../ops/cost.js';
import { type PassContext, requireEngine } from '../../pass.js';
import type { Coupling, Cut } from '../family.js';
import type { ChannelChange } from './channel-sums.js';
import { type FitOptions, fitGroup } from './fit.js';
import { readWeights, writeBias, writeWeights } from './layers.js';
import type { MomentSums } from './moments.js';
import { type KeptIndices, observe, targetsOf } from './observe.js';
import { type LayerStep, type NormalizationStep, planRepair } from './plan.js';
import { LevelWalk } from './walk.js';

export interface RepairOptions extends FitOptions {
  readonly maxFeatures: number;
}

/** One layer that was fitted. Errors are shares of the variance of what it should give. */
export interface RepairedLayer {
  readonly node: string;
  readonly op: string;
  /** Null for a normalization, whose statistics were taken anew. */
  readonly errorBefore: number | null;
  readonly errorAfter: number | null;
}

export interface RepairReport {
  readonly samples: number;
  readonly layers: readonly RepairedLayer[];
  readonly left: readonly { readonly node: string; readonly op: string; readonly reason: string }[];
}

export interface RepairRequest {
  /** The model after the cut; its weights are changed in place. */
  readonly pruned: Model;
  /** Of the model before it, whose value names the pruned model has. */
  readonly coupling: Coupling;
  readonly cut: Cut;
  readonly types: TypeLookup;
  readonly options: RepairOptions;
}

/** Needs an engine and samples in the context; labels are not needed. */
export async function repair(
  { pruned, coupling, cut, types, options }: RepairRequest,
  context: PassContext,
): Promise<RepairReport> {
  const samples = await countSamples(context);
  const { maxFeatures } = options;
  const { steps, left } = planRepair(pruned.graph, coupling, cut, { maxFeatures, types });
  const walk = {
    engine: requireEngine(context, 'repair'),
    sampleCount: samples,
    starts: new Map(steps.map(({ level, name }) => [name, level])),
    bytesOf: (name: string) => bytesOf(coupling.model.graph.find(name), types),
  };
  const models = {
    original: new LevelWalk(coupling.model, { ...walk, ahead: targetsOf(steps) }),
    pruned: new LevelWalk(pruned, walk),
    kept: keptIndices(coupling, cut),
  };
  const layers: RepairedLayer[] = [];
  const task = context.progress.task('repair', steps.length);
  try {
    for (let at = 0; at < steps.length; ) {
      throwIfAborted(context.signal);
      const { level } = steps[at]!;
      const wave = steps.filter((step) => step.level === level);
      const observed = await observe(models, wave, samples, context);
      for (const step of wave) {
        task.update(++at, step.kind === 'layer' ? step.layer.node.label : step.node.label);
        layers.push(
          step.kind === 'layer'
            ? await fitLayer(step, observed.layers.get(step)!, options)
            : await adaptStatistics(step, observed.normalizations.get(step)!.result(), options),
        );
      }
    }
  } finally {
    task.end();
  }
  return {
    samples,
    layers,
    left: left.map(({ node, reason }) => ({ node: node.label, op: node.op, reason })),
  };
}

/** Of one feed; undefined for what is no tensor. */
function bytesOf(value: Value | undefined, types: TypeLookup): number | undefined {
  const type = value && types(value);
  return type && byteLengthOf(type.dataType, elementCount(type.dims));
}

async function fitLayer(
  { layer, other }: LayerStep,
  sums: MomentSums,
  options: FitOptions,
): Promise<RepairedLayer> {
  const { node, groups, features, outputs, bias } = layer;
  const prior = await readWeights(layer);
  const priorBias = await numbersOf(bias?.node.inputs[bias.index], groups * outputs);
  const weights = new Float64Array(prior.length);
  const offsets = new Float64Array(groups * outputs);
  // What a branch adds to a sum is not brought to the spread of what is left of the sum.
  const own = other === undefined ? options : { ...options, statistics: false };
  let [errorBefore, errorAfter, spread] = [0, 0, 0];
  for (let group = 0; group < groups; group++) {
    const rows = [group * outputs * features, (group + 1) * outputs * features] as const;
    const places = [group * outputs, (group + 1) * outputs] as const;
    const moments = sums.group(group, bias !== undefined);
    const fit = fitGroup(moments, prior.subarray(...rows), priorBias.subarray(...places), own);
    weights.set(fit.weights, rows[0]);
    offsets.set(fit.bias, places[0]);
    errorBefore += fit.errorBefore;
    errorAfter += fit.errorAfter;
    spread += fit.spread;
  }
  writeWeights(layer, weights);
  if (bias) writeBias(layer, bias, offsets);
  const share = (error: number) => (spread > 0 ? error / spread : 0);
  const { label, op } = node;
  return { node: label, op, errorBefore: share(errorBefore), errorAfter: share(errorAfter) };
}

/** So that the channels come out with the mean and spread that they had: (m' - M') / s' is (m - M) / s. */
async function adaptStatistics(
  { node }: NormalizationStep,
  { meansBefore, meansAfter, ratios }: ChannelChange,
  { statistics }: FitOptions,
): Promise<RepairedLayer> {
  const inputs = channelNormalizations[node.op]!;
  const [mean, variance] = [node.input(inputs.mean), node.input(inputs.variance)];
  if (statistics && isOwn(mean) && isOwn(variance)) {
    await change(
      mean,
      (stored, at) => meansAfter[at]! - (meansBefore[at]! - stored) * Math.sqrt(ratios[at]!),
    );
    await change(variance, (stored, at) => stored * ratios[at]!);
  }
  return { node: node.label, op: node.op, errorBefore: null, errorAfter: null };
}

function isOwn(value: Value): boolean {
  return value.isConstant && value.uses.length === 1;
}

async function change(value: Value, by: (before: number, at: number) => number): Promise<void> {
  const { dataType, dims } = value.initializer!;
  const numbers = await value.initializer!.floats();
  value.initializer = Tensor.of(dataType, dims, numbers.map(by));
}

async function numbersOf(value: Value | undefined, count: number): Promise<Float64Array> {
  return value ? Float64Array.from(await value.constant!.floats()) : new Float64Array(count);
}

async function countSamples({ samples }: PassContext): Promise<number> {
  let count = 0;
  for await (const _ of samples?.() ?? []) count++;
  if (count > 0) return count;
  throw new PareError('invalid-data', 'repair: there is no sample', {
    hint: 'give data with --data PATH; labels are not needed',
  });
}

/** By name and axis of a value of the original. */
function keptIndices({ families }: Coupling, cut: Cut): KeptIndices {
  const removed = new Map<string, Uint8Array>();
  for (const { id, carriers } of families) {
    const units = cut.get(id);
    if (!units || units.size === 0) continue;
    for (const { value, axis, unitOf } of carriers) {
      const key = `${axis} ${value.name}`;
      const marks = removed.get(key) ?? new Uint8Array(unitOf.length);
      removed.set(key, marks);
      for (const [index, unit] of unitOf.entries()) if (units.has(unit)) marks[index] = 1;
    }
  }
  return (name, axis) => {
    const marks = removed.get(`${axis} ${name}`);
    return marks && Int32Array.from([...marks.keys()].filter((index) => marks[index] === 0));
  };
}
