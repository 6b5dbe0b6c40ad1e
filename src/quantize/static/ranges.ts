/**
 * Scale and zero point of every group of a plan: from what the caller fixed, or by a calibrator
 * from the statistics of its values.
 */
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import { dataTypes } from '../../onnx/data-type.js';
import type { PassContext } from '../../pass.js';
import { type NodePredicate, nodeMatcher } from '../../pattern.js';
import { cachedStatistics } from '../calibrate/cache.js';
import { type CalibratedRange, calibratorNamed } from '../calibrate/calibrators.js';
import type { ValueStatistics } from '../calibrate/statistics.js';
import type { StaticOptions } from './options.js';
import type { Overrides } from './overrides.js';
import { parametersOf, type QuantizationParameters } from './parameters.js';
import type { Plan, ScaleGroup } from './plan.js';

/** What holds for one group: the options for all, with its override put in. */
type GroupRules = Pick<StaticOptions, 'activations' | 'symmetric' | 'calibrator' | 'percentile'> & {
  readonly fixed: readonly CalibratedRange[];
  readonly parameters: Pick<QuantizationParameters, 'scale' | 'zeroPoint'> | undefined;
};

/** The same kind of integers with 16 bits. */
const wideType = Object.freeze({
  ...{ uint8: 'uint16', uint16: 'uint16' },
  ...{ int8: 'int16', int16: 'int16' },
} as const);

export async function groupParameters(
  model: Model,
  plan: Plan,
  options: StaticOptions,
  overrides: Overrides,
  context: PassContext,
): Promise<Map<ScaleGroup, QuantizationParameters>> {
  const isWide = wideGroups(plan, nodeMatcher(options.wide));
  const rules = new Map(
    [...new Set(plan.groups.values())].map((group) => {
      const activations = isWide(group) ? wideType[options.activations] : options.activations;
      return [group, rulesOf(group, { ...options, activations }, overrides)];
    }),
  );
  const open = [...rules].filter(([, { fixed, parameters }]) => fixed.length === 0 && !parameters);
  const names = open.flatMap(([{ sources }]) => sources.map(({ name }) => name));
  const histograms = open.some(([, { calibrator }]) => calibratorNamed(calibrator).histogram);
  const statistics = await cachedStatistics(model, names, histograms, context);
  const parameters = new Map<ScaleGroup, QuantizationParameters>();
  for (const [group, own] of rules) parameters.set(group, parametersIn(group, own, statistics));
  return parameters;
}

/** Whether a value of the group goes into one of these nodes, or comes out of it. */
function wideGroups({ nodes, absorbed }: Plan, chosen: NodePredicate) {
  const isChosen = (node: Node | undefined) =>
    node !== undefined && nodes.has(node) && chosen(node);
  return ({ values }: ScaleGroup) =>
    values.some(({ producer, users }) => {
      // Behind a clip that is absorbed the node before it makes the integers.
      const maker = producer && absorbed.has(producer) ? producer.input(0).producer : producer;
      return isChosen(maker) || [...users].some(isChosen);
    });
}

function rulesOf(group: ScaleGroup, options: StaticOptions, overrides: Overrides): GroupRules {
  const override = overrides.ofGroup(group);
  const { min, max, scale, zeroPoint } = override ?? {};
  const fixed = group.values.flatMap(({ name }) => options.ranges[name] ?? []);
  if (fixed.length > 0 && (min !== undefined || scale !== undefined)) {
    const named = group.values.find(({ name }) => options.ranges[name])!.name;
    throw new PareError('usage', `"${named}" has its range from ranges and from overrides`, {
      tensor: named,
      hint: 'use one of the two; the input of a model that takes raw integers has its range from them',
    });
  }
  return {
    activations: override?.dataType ?? options.activations,
    symmetric: override?.symmetric ?? options.symmetric,
    calibrator: override?.calibrator ?? options.calibrator,
    percentile: override?.percentile ?? options.percentile,
    fixed: min === undefined ? fixed : [{ min, max: max! }],
    parameters:
      scale === undefined ? undefined : { scale: Math.fround(scale), zeroPoint: zeroPoint! },
  };
}

function parametersIn(
  { sources }: ScaleGroup,
  { activations, symmetric, calibrator, percentile, fixed, parameters }: GroupRules,
  statistics: ReadonlyMap<string, ValueStatistics>,
): QuantizationParameters {
  if (parameters) return { dataType: activations, ...parameters };
  const levels = 2 ** dataTypes[activations].bits;
  const rangeOf = (name: string): CalibratedRange => {
    const seen = statistics.get(name);
    // A value that was empty in every sample has no range; any scale will do.
    if (!seen) return { min: 0, max: 0 };
    return calibratorNamed(calibrator).range(seen, { levels, symmetric, percentile });
  };
  const ranges = fixed.length > 0 ? fixed : sources.map(({ name }) => rangeOf(name));
  const range = {
    min: Math.min(...ranges.map(({ min }) => min)),
    max: Math.max(...ranges.map(({ max }) => max)),
  };
  return parametersOf(range, activations, symmetric);
}
