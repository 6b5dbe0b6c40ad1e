/**
 * Calibrates once and for all: everything that static quantization may ask of the samples of a
 * model, as a table that can be saved, read, edited and used in their place.
 */
import * as z from 'zod/mini';
import { PareError } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import { integerRoles } from '../../ops/integer-roles.js';
import { type PassContext, passContext, requireEngine } from '../../pass.js';
import { inputRanges, plainDims, samplesFor } from '../io/input-spec.js';
import { staticOptions } from '../static/options.js';
import { Overrides } from '../static/overrides.js';
import { planStatic } from '../static/plan.js';
import { planRules, prepareStatic } from '../static.js';
import { collectStatistics } from './collect.js';
import { modelHash } from './model-hash.js';
import type { CalibrationEntry, CalibrationTable } from './table.js';

export interface CalibrateOptions {
  /** Version of pare, for the table. */
  readonly version: string;
  /** Fingerprint of the data, for the table. */
  readonly data?: string | undefined;
}

/**
 * The values are those that the options can quantize, with every clip in place and with every clip
 * absorbed, so that the table serves all calibrators and any choice among these nodes.
 *
 * @param options of the static scheme
 * @throws PareError `usage` without samples; `invalid-model` for a value that holds NaN or
 *   infinity, with the sample
 * @example
 * const table = await calibrate(model, {}, { engine, samples }, { version });
 * await applyPass(model, staticScheme, { calibrator: 'mse' }, { engine, calibration: table });
 */
export async function calibrate(
  model: Model,
  given: z.input<typeof staticOptions>,
  callers: Partial<PassContext>,
  { version, data }: CalibrateOptions,
): Promise<CalibrationTable> {
  const options = z.parse(staticOptions, given);
  const context = passContext(callers);
  if (!context.samples) {
    throw new PareError('usage', 'calibrate: needs samples to find the ranges of activations', {
      hint: 'give data with --data PATH; labels are not needed',
    });
  }
  const engine = requireEngine(context, 'calibrate');
  const hash = await modelHash(model);
  const copy = cloneModel(model);
  await prepareStatic(copy, options, context);
  const overrides = new Overrides(copy, options);
  const clips = [...copy.graph.nodes].filter(({ op }) => integerRoles[op]?.kind === 'clip');
  const wanted = new Set<string>();
  for (const standing of [new Set<never>(), new Set(clips)]) {
    const plan = await planStatic(copy, planRules(options, overrides, standing));
    for (const { name } of plan.groups.keys()) wanted.add(name);
  }
  const known = inputRanges(copy);
  const names = [...copy.graph.values]
    .map(({ name }) => name)
    .filter((name) => wanted.has(name) && !known[name]);
  const samples = samplesFor(copy, context.samples);
  const { signal, progress } = context;
  const found = await collectStatistics(copy, engine, names, samples, { signal, progress });
  const values = new Map<string, CalibrationEntry>();
  for (const name of names) {
    const dims = plainDims(copy.graph.value(name).dims);
    values.set(name, { dims, ...(found.get(name) ?? nothingSeen) });
  }
  return {
    pare: version,
    calibrator: options.calibrator,
    model: hash,
    data,
    values,
    pinned: new Map(),
  };
}

/** Of a value that was empty in every sample. */
const nothingSeen = Object.freeze({
  ...{ min: 0, max: 0, meanMin: 0, meanMax: 0, samples: 0, elements: 0 },
  histogram: undefined,
});
