/**
 * What every node of a quantized model costs, and what leaving nodes in float buys: the damage of
 * each alone and of all others without it, then the scheme without the worst 0, 1, 2 ... of them.
 * Measures; to have the number of nodes chosen, see keep-float.ts.
 */
import type { Dataset, Sample } from '../data/dataset.js';
import { throwIfAborted } from '../errors.js';
import type { Evaluation } from '../measure/evaluation.js';
import { measureVariants, type Variant } from '../measure/sensitivity.js';
import type { Candidate } from './candidate.js';
import { type ChosenSamples, namedModel, qualityOf } from './measuring.js';
import { changedBy, type DamageRequest, damageSamples, rankNodes, without } from './node-damage.js';

/** Most samples that a step of the trade-off is measured on: they are held in memory. */
const mostSamples = 256;
/** Up to so many nodes every number of them is measured; beyond, about 1.5 times more each time. */
const everyStep = 6;

export interface NodeSensitivity {
  readonly node: string;
  readonly op: string;
  /** SNR of the outputs in dB when only this node is quantized; null: the runtime refused it. */
  readonly aloneSnr: number | null;
  /** The same when all nodes but this one are. */
  readonly othersSnr: number | null;
}

export interface TradeOffStep {
  /** How many of the nodes, the worst first, are left out. */
  readonly kept: number;
  readonly sizeBytes: number;
  /** Null: the runtime refused it. */
  readonly evaluation: Evaluation | null;
}

export interface SensitivityReport {
  /** How many samples the nodes, and the steps of the trade-off, were measured on. */
  readonly samples: { readonly nodes: number; readonly tradeOff: number };
  /** The worst first, by `aloneSnr`. */
  readonly nodes: readonly NodeSensitivity[];
  readonly tradeOff: readonly TradeOffStep[];
}

export interface SensitivityRequest extends DamageRequest {
  readonly dataset: Dataset;
  readonly samples: ChosenSamples;
}

/**
 * Makes about 2 N + 4 log2 N models for N nodes, one in memory at a time.
 * @throws PareError of the candidate's passes, and `data-mismatch` for samples that do not fit
 */
export async function sensitivityReport(request: SensitivityRequest): Promise<SensitivityReport> {
  const { dataset, samples, candidate } = request;
  const changed = changedBy(candidate, request.relax);
  const search = await collect(dataset, samples.search.subarray(0, damageSamples));
  const damage = [...(await rankNodes(request, changed, search))].sort((a, b) => a.snr - b.snr);
  const ranked = damage.map(({ node }) => node);
  const others = new Map<string, number | null>();
  const eachOut = ranked.map((node) => ({ name: node, excluded: [node] }));
  for await (const { name, evaluation } of measureWithout(request, eachOut, search)) {
    others.set(name, evaluation ? (qualityOf(evaluation).snr ?? null) : null);
  }
  const indices = samples.evaluate.subarray(0, mostSamples);
  const held = await collect(dataset, indices.length > 0 ? indices : samples.search);
  const steps = stepsTo(ranked.length).map((kept) => ({
    name: String(kept),
    excluded: ranked.slice(0, kept),
  }));
  const tradeOff: TradeOffStep[] = [];
  for await (const { name, evaluation, sizeBytes } of measureWithout(request, steps, held)) {
    tradeOff.push({ kept: Number(name), sizeBytes, evaluation });
  }
  const opOf = new Map(
    candidate.reports.flatMap((report) => report.changed.map(({ node, op }) => [node, op])),
  );
  return {
    samples: { nodes: search.length, tradeOff: held.length },
    nodes: damage.map(({ node, snr }) => ({
      node,
      op: opOf.get(node)!,
      aloneSnr: snr === Number.NEGATIVE_INFINITY ? null : snr,
      othersSnr: others.get(node) ?? null,
    })),
    tradeOff,
  };
}

/** 0, 1, 2 ... then in growing strides, and always the last. */
export function stepsTo(count: number): number[] {
  const steps: number[] = [];
  for (let at = 0; at < count; at = at < everyStep ? at + 1 : Math.ceil(at * 1.5)) steps.push(at);
  return [...steps, count];
}

interface Measured {
  readonly name: string;
  readonly evaluation: Evaluation | null;
  readonly sizeBytes: number;
}

/** The candidate without these nodes, for every list of them. */
async function* measureWithout(
  request: DamageRequest,
  lists: readonly { readonly name: string; readonly excluded: readonly string[] }[],
  samples: readonly Sample[],
): AsyncGenerator<Measured> {
  const { context, original, engine } = request;
  const sizes = new Map<string, number>();
  const variants = async function* (): AsyncGenerator<Variant> {
    for (const { name, excluded } of lists) {
      const made: Candidate =
        excluded.length === 0 ? request.candidate : await without(request, excluded);
      sizes.set(name, made.sizeBytes);
      yield { ...namedModel(made), name };
    }
  };
  const { signal, progress } = context;
  for await (const { name, evaluation } of measureVariants(original, variants(), samples, engine, {
    signal,
    progress,
  })) {
    throwIfAborted(signal);
    yield { name, evaluation: evaluation ?? null, sizeBytes: sizes.get(name)! };
  }
}

async function collect(dataset: Dataset, indices: Uint32Array): Promise<Sample[]> {
  const samples: Sample[] = [];
  for await (const sample of dataset.samples(indices)) samples.push(sample);
  return samples;
}
