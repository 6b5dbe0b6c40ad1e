/**
 * Quantization-aware training: what fine-tuning needs to know of a student that is quantized. Its
 * weights are trained as floats that are rounded in the graph, its scales along with them, and the
 * result is the student's own file with other numbers, of which it is measured that it computes
 * what was trained.
 */
import type { Dataset } from '../../data/dataset.js';
import type { Engine } from '../../engine/engine.js';
import { modelSource } from '../../engine/model-source.js';
import type { Model } from '../../graph/model.js';
import { evaluate } from '../../measure/evaluate.js';
import type { Evaluation } from '../../measure/evaluation.js';
import { quantizeOnGrid } from '../../quantize/integers.js';
import type { Weights } from '../loop.js';
import type { ParameterGroup } from '../step.js';
import { findParameters } from '../trainable.js';
import { floatName, trainableForm } from './form.js';
import { parameterGroups } from './groups.js';
import type { WeightSite } from './sites.js';
import { writeTrained } from './write.js';

export interface QuantizedStudent {
  /** What is trained. */
  readonly form: Model;
  /** What of it is trained. */
  readonly groups: ReadonlyMap<string, ParameterGroup>;
  readonly left: readonly { readonly name: string; readonly reason: string }[];
  /** Weights that start with the floats they were quantized from, and all of them. */
  readonly originals: number;
  readonly weights: number;
  /** The file with these weights of the form. */
  write(weights: Weights): Promise<Model>;
}

export interface QuantizedOptions {
  readonly freeze: readonly string[];
  /** Factor on the learning rate for scales; 0 keeps them. */
  readonly scaleRate: number;
  /** The float model that the student was made of: its weights are taken where they fit. */
  readonly origin: Model | undefined;
}

/** Undefined for a student whose weights are floats. */
export async function quantizedStudent(
  student: Model,
  { freeze, scaleRate, origin }: QuantizedOptions,
  engine: Engine,
): Promise<QuantizedStudent | undefined> {
  const form = await trainableForm(student, engine, {
    freeze,
    fixedScales: scaleRate === 0,
    start: (site) => floatOriginal(origin, site),
  });
  const { sites } = form;
  if (sites.weights.length === 0) return undefined;
  const found = findParameters(student, freeze);
  const floats = found.weights.map(({ name }) => name);
  const groups = await parameterGroups(form, floats, scaleRate);
  const left = new Map(sites.left.map(({ name, reason }) => [name, reason]));
  for (const { value, reason } of found.frozen) {
    if (!form.floats.has(value.name) && !left.has(value.name)) left.set(value.name, reason);
  }
  return {
    form: form.model,
    groups,
    left: Array.from(left, ([name, reason]) => ({ name, reason })),
    originals: form.original.size,
    weights: sites.weights.length,
    write: (weights) => writeTrained(student, form, weights, engine),
  };
}

/** The weight that was quantized: it has the same name, and the same integers under the scales. */
async function floatOriginal(
  origin: Model | undefined,
  { codes, layout, format, values, scales, zeroPoints }: WeightSite,
): Promise<Float32Array | undefined> {
  const tensor = origin?.graph.find(floatName(codes))?.constant;
  if (tensor?.dataType !== 'float' || String(tensor.dims) !== String(layout.dims)) return undefined;
  const floats = await tensor.floats();
  if (!floats.every(Number.isFinite)) return undefined;
  const again = quantizeOnGrid(floats, layout, format, { scales, zeroPoints });
  return again.every((code, at) => code === values[at]) ? floats : undefined;
}

/** How the written model agrees with what was trained. */
export interface Agreement {
  /** Both without the runtime's optimizations: the arithmetic that both files spell out. */
  readonly asWritten: Evaluation;
  /** As the runtime computes the written one by default, with integer kernels. */
  readonly asRun: Evaluation;
}

/** Runs both on these samples. */
export async function measureAgreement(
  { trained, written }: { readonly trained: Model; readonly written: Model },
  dataset: Dataset,
  engine: Engine,
  options: { indices: Uint32Array; batchSize: number; signal: AbortSignal | undefined },
): Promise<Agreement> {
  const models = [
    { name: 'trained', source: await modelSource(trained) },
    { name: 'written', source: await modelSource(written) },
  ];
  const compared = async (optimization: 'disabled' | 'all') => {
    const session = { optimization } as const;
    const [, evaluation] = await evaluate(models, dataset, engine, { ...options, session });
    return evaluation!;
  };
  return { asWritten: await compared('disabled'), asRun: await compared('all') };
}
