/**
 * The student of pare finetune --qat: a float model becomes the file that pare quantize --scheme
 * static would write, a quantized one is taken as it is.
 */
import type { Dataset } from '../../data/dataset.js';
import { repeatableFeeds } from '../../data/repeatable-feeds.js';
import type { Engine, PortInfo } from '../../engine/engine.js';
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import { quantizedForm } from '../../ops/quantized-form.js';
import { applyPass, type PassReport } from '../../pass.js';
import { staticScheme } from '../../quantize/static.js';
import { simplify } from '../../simplify/index.js';
import { ownOptions } from '../own-options.js';
import { qatFields } from '../qat-fields.js';

/** As many as calibrate in pare quantize. */
const calibrationCount = 100;

export interface StudentRequest {
  readonly student: Model;
  readonly dataset: Dataset;
  readonly ports: readonly PortInfo[];
  /** Samples that train; the first of them calibrate. */
  readonly train: Uint32Array;
  /** Options of the command. */
  readonly options: Readonly<Record<string, unknown>> & { readonly qat: boolean };
  readonly engine: Engine;
  readonly signal: AbortSignal;
}

export interface Student {
  readonly model: Model;
  /** Of the quantization; undefined where nothing was quantized. */
  readonly report: PassReport | undefined;
  /** The float model that was quantized. */
  readonly origin: Model | undefined;
}

/** Throws `usage` for options of quantization that would have no effect. */
export async function quantizedStudent(request: StudentRequest): Promise<Student> {
  const { student, dataset, ports, train, options, engine, signal } = request;
  const own = ownOptions('finetune', 'static', staticScheme.options, qatFields, options);
  const isQuantized = [...student.allNodes()].some((node) => quantizedForm(node) !== undefined);
  const [idle] = Object.keys(own);
  if (idle && (!options.qat || isQuantized)) {
    throw new PareError(
      'usage',
      `finetune: the option ${idle} says how to quantize the student, ${isQuantized ? 'which is quantized already' : 'which is not asked for'}`,
      { hint: isQuantized ? 'leave it out' : 'add --qat' },
    );
  }
  if (!options.qat || isQuantized) return { model: student, report: undefined, origin: undefined };
  const { model: origin } = await simplify(student, {}, { engine, signal });
  const samples = repeatableFeeds(dataset, ports, train.slice(0, calibrationCount));
  // What is quantized anew in every run has no scale to learn.
  const { model, report } = await applyPass(
    origin,
    staticScheme,
    { matMul: 'static', ...own },
    { engine, samples, signal },
  );
  if (report.changed.length > 0) return { model, report, origin };
  throw new PareError('unsupported', 'finetune: static quantization applies to no node', {
    hint: `${report.skipped[0]?.node}: ${report.skipped[0]?.reason}`,
  });
}
