/**
 * Exceptions for single values and weights: finds what each is meant for, and refuses what cannot
 * be honoured. Decides nothing about values that no override names.
 */
import { didYouMean } from '../../data/did-you-mean.js';
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { dataTypes } from '../../onnx/data-type.js';
import { constantViews } from '../../ops/constant-views.js';
import { isNamedBy } from '../../pattern.js';
import type { FoundWeight } from '../find-weight.js';
import type { StaticOptions } from './options.js';
import type { Override } from './override-schema.js';
import { integerRange } from './parameters.js';
import type { ScaleGroup } from './plan.js';

const ofWeights = Object.freeze(['perChannel', 'symmetric'] as const);

export class Overrides {
  readonly #byName = new Map<string, Override | 'float'>();
  readonly #patternOf = new Map<string, string>();
  readonly #activations: StaticOptions['activations'];

  /**
   * A value goes by its own name before wildcards, and by a later wildcard before earlier ones;
   * overrides are not mixed.
   * @throws PareError `usage` for a pattern that names no value, and for an option that means
   *   nothing for what it names
   */
  constructor(model: Model, { overrides, activations }: StaticOptions) {
    this.#activations = activations;
    const values = [...model.graph.values];
    for (const [pattern, override] of Object.entries(overrides)) {
      const named = values.filter(({ name }) => isNamedBy(pattern, name));
      if (named.length === 0) throw matchesNothing(pattern, values);
      // A wildcard may name both weights and activations, and means those that have such options.
      const meant = named.filter((value) => !misfit(override, value));
      if (meant.length === 0) throw doesNotFit(pattern, override, named[0]!);
      for (const { name } of meant) {
        if (this.#patternOf.get(name) === name) continue;
        this.#byName.set(name, override);
        this.#patternOf.set(name, pattern);
      }
    }
  }

  /** Most bits of any activation. */
  get bits(): number {
    const types = [...this.#byName.values()].flatMap((each) =>
      each === 'float' || !each.dataType ? [] : [each.dataType],
    );
    return Math.max(...[this.#activations, ...types].map((type) => dataTypes[type].bits));
  }

  /** Why a node must stay float; undefined when no override says so. */
  reasonFor(node: Node): string | undefined {
    for (const value of [...node.inputs.flatMap(withSources), ...node.outputs]) {
      if (value && this.#byName.get(value.name) === 'float') {
        return `an override keeps "${value.name}" in float`;
      }
    }
    return undefined;
  }

  /**
   * What holds for values of one scale: the override of any of them is that of all.
   * @throws PareError `usage` that names two values whose overrides contradict each other
   */
  ofGroup({ values }: ScaleGroup): Override | undefined {
    let first: { readonly name: string; readonly override: Override } | undefined;
    for (const { name } of values) {
      const override = this.#byName.get(name);
      if (!override || override === 'float') continue;
      if (!first) first = { name, override };
      else if (!isSame(first.override, override)) {
        throw new PareError(
          'usage',
          `overrides: "${first.name}" and "${name}" share one scale, but are to have ${JSON.stringify(first.override)} and ${JSON.stringify(override)}`,
          {
            tensor: name,
            hint: 'say the same of both, or keep one of them in float to part them',
          },
        );
      }
    }
    if (first) checkZeroPoint(first.name, first.override, this.#activations);
    return first?.override;
  }

  ofWeight({ source }: FoundWeight): Override | undefined {
    const override = this.#byName.get(source.name);
    return override === 'float' ? undefined : override;
  }

  /** Patterns that name only values which the plan does not quantize. */
  idle(isQuantized: (name: string) => boolean): string[] {
    const idle = new Set(this.#patternOf.values());
    for (const [name, pattern] of this.#patternOf) {
      if (isQuantized(name) || this.#byName.get(name) === 'float') idle.delete(pattern);
    }
    return [...idle];
  }
}

/** A value, and for a view of a constant what it is a view of. */
function withSources(value: Value | undefined): Value[] {
  const seen: Value[] = [];
  for (let at = value; at; ) {
    seen.push(at);
    if (at.constant) return seen;
    at = at.producer && constantViews[at.producer.op] ? at.producer.inputs[0] : undefined;
  }
  return seen.slice(0, 1);
}

function isSame(a: Override, b: Override): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)] as (keyof Override)[]);
  return [...keys].every((key) => a[key] === b[key]);
}

/** The first option that means nothing for a value of this kind. */
function misfit(override: Override | 'float', { constant }: Value): keyof Override | undefined {
  if (override === 'float') return undefined;
  return (Object.keys(override) as (keyof Override)[]).find((key) =>
    constant ? !(ofWeights as readonly string[]).includes(key) : key === 'perChannel',
  );
}

function doesNotFit(pattern: string, override: Override | 'float', value: Value): PareError {
  const { name } = value;
  const [kind, others] = value.constant
    ? ['a weight', ofWeights.join(' and ')]
    : ['an activation', 'min and max, scale and zeroPoint, dataType, symmetric, calibrator'];
  const wrong = misfit(override, value);
  return new PareError('usage', `overrides: "${name}" is ${kind}, which has no ${wrong}`, {
    tensor: name,
    hint: `${pattern === name ? '' : `"${pattern}" names it; `}${kind} has ${others}`,
  });
}

function checkZeroPoint(
  name: string,
  { zeroPoint, dataType }: Override,
  activations: StaticOptions['activations'],
): void {
  if (zeroPoint === undefined) return;
  const type = dataType ?? activations;
  const { low, high } = integerRange(type, false);
  if (zeroPoint >= low && zeroPoint <= high) return;
  throw new PareError(
    'usage',
    `overrides: the zero point ${zeroPoint} of "${name}" is no ${type}, ${low} to ${high}`,
    { tensor: name },
  );
}

function matchesNothing(pattern: string, values: readonly Value[]): PareError {
  const close = didYouMean(
    pattern,
    values.map(({ name }) => name),
  );
  return new PareError('usage', `overrides: "${pattern}" names no value of the model`, {
    hint: close
      ? `did you mean "${close}"?`
      : 'names are those of values: node outputs, graph inputs, weights; * is a wildcard',
  });
}
