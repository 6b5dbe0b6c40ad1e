/**
 * The whole model with a mask on every layer, in one session: masks are inputs, so that any set of
 * units of any layers can be replaced by their means without a model being made for it. Runs on the
 * samples of the deletion curves and tells what each set does to loss and hits.
 */
import type { EngineSession } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { removeDead } from '../graph/dead.js';
import { Emitter } from '../graph/emitter.js';
import { tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import type { Layer } from './layers.js';
import type { Observation } from './observe.js';
import type { Rows, Subject } from './subject.js';
import { scoreRows, targetsOf } from './target.js';

/** One unit of one layer. */
export interface UnitRef {
  readonly layer: Layer;
  readonly unit: number;
}

/** Of each sample, with a set of units replaced. */
export interface SampleScores {
  readonly loss: Float64Array;
  readonly hits: Float64Array;
}

export interface Masked {
  /** Loss and hits of the samples with these units replaced by their means. */
  run(replaced: Iterable<UnitRef>): Promise<SampleScores>;
  release(): Promise<void>;
}

const maskName = (at: number) => `explain/keep/${at}`;

/**
 * @param observation has the means, of samples other than `data` as a rule
 * @param data what is scored
 */
export async function openMasked(
  subject: Subject,
  observation: Observation,
  data: readonly Rows[],
): Promise<Masked> {
  const { target, layers, context } = subject;
  const model = cloneModel(subject.model);
  const { graph } = model;
  const e = new Emitter(graph, { scope: 'explain' });
  layers.forEach(({ value: original, axis, rank, unitOf }, at) => {
    const value = graph.value(original.name);
    const users = value.uses;
    const along = Array.from({ length: rank }, (_, i) => (i === axis ? -1 : 1));
    const keep = graph.addInput(maskName(at), tensorType('float', [unitOf.length]));
    const mean = graph.addInitializer(
      `explain/mean/${at}`,
      Tensor.of('float', [unitOf.length], [...observation.layers.get(layers[at]!)!.indexMeans]),
    );
    const kept = e.reshape(keep, along);
    const instead = e.mul(e.sub(1, kept), e.reshape(mean, along));
    const masked = e.add(e.mul(value, kept), instead);
    for (const { node, index } of users) node.setInput(index, masked);
  });
  graph.outputs.splice(0, graph.outputs.length, graph.value(target.logits));
  graph.sort();
  removeDead(graph);
  const session = await subject.engine.createSession(await modelSource(model), {
    signal: subject.signal,
  });
  const full = layers.map(({ unitOf }) => new Float32Array(unitOf.length).fill(1));
  const targets = await targetsOfAll(subject, session, data, masksOf(layers, full));
  const samples = data.reduce((sum, { count }) => sum + count, 0);
  return {
    async run(replaced) {
      const masks = full.map((mask) => mask.slice());
      for (const { layer, unit } of replaced) {
        const mask = masks[layers.indexOf(layer)]!;
        for (let i = 0; i < mask.length; i++) if (layer.unitOf[i] === unit) mask[i] = 0;
      }
      const feeds = masksOf(layers, masks);
      const result = { loss: new Float64Array(samples), hits: new Float64Array(samples) };
      let done = 0;
      for (const [at, rows] of data.entries()) {
        throwIfAborted(context.signal);
        const logits = (await session.run({ ...rows.feeds, ...feeds }))[target.logits]!;
        const scores = scoreRows(target, float32Of(logits), logits.dims[0]!, targets[at]!);
        result.loss.set(scores.loss.subarray(0, rows.count), done);
        result.hits.set(scores.hits.subarray(0, rows.count), done);
        done += rows.count;
      }
      return result;
    },
    release: () => session.release(),
  };
}

type Masks = Readonly<Record<string, ReturnType<typeof hostTensor>>>;

function masksOf(layers: readonly Layer[], masks: readonly Float32Array[]): Masks {
  return Object.fromEntries(
    layers.map((_, at) => [maskName(at), hostTensor('float', [masks[at]!.length], masks[at]!)]),
  );
}

/** The targets are those of the whole model, also where they are its own predictions. */
async function targetsOfAll(
  { target }: Subject,
  session: EngineSession,
  data: readonly Rows[],
  masks: Masks,
): Promise<Int32Array[]> {
  const targets: Int32Array[] = [];
  for (const { feeds, labels } of data) {
    const logits = (await session.run({ ...feeds, ...masks }))[target.logits]!;
    targets.push(targetsOf(target, feeds, labels, logits));
  }
  return targets;
}
