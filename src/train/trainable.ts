/**
 * Which constants of a model are parameters that training may change, by the roles that operators
 * give them: weights, tables, biases, norms. Shapes, masks and scale factors are none.
 */
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { constantsOf, mainUse } from '../measure/size.js';
import { dataTypes } from '../onnx/data-type.js';
import { parameterRoles } from '../ops/input-roles.js';
import { checkPatterns, nodeMatcher } from '../pattern.js';

export interface Trainable {
  readonly weights: readonly Value[];
  /** Parameters that stay as they are, with the reason. */
  readonly frozen: readonly { readonly value: Value; readonly reason: string }[];
}

/**
 * Float parameters of the main graph, in order of definition. Call it on a model without Constant
 * nodes (simplify makes them initializers).
 *
 * @param freeze patterns of nodes whose parameters stay: names, wildcards, `op:Gather`
 * @throws PareError `usage` for a pattern that matches no node, `unsupported` when nothing is left
 * @example const { weights } = trainableWeights(model, ['/embed*']);
 */
export function trainableWeights(model: Model, freeze: readonly string[] = []): Trainable {
  const { weights, frozen } = findParameters(model, freeze);
  if (weights.length > 0) return { weights, frozen };
  const [first] = frozen;
  throw new PareError('unsupported', 'train: the model has no weight that can be trained', {
    hint: first ? `"${first.value.name}" ${first.reason}` : 'it holds no float parameters',
  });
}

/** The same where there may be none. */
export function findParameters(model: Model, freeze: readonly string[]): Trainable {
  checkPatterns(freeze, model.allNodes(), 'freeze');
  const isFrozen = nodeMatcher(freeze);
  const weights: Value[] = [];
  const frozen: { value: Value; reason: string }[] = [];
  for (const { value, tensor } of constantsOf(model)) {
    if (!parameterRoles.has(mainUse(value, tensor).role)) continue;
    const reason = reasonToStay(value, isFrozen);
    if (reason) frozen.push({ value, reason });
    else weights.push(value);
  }
  return { weights, frozen };

  function reasonToStay(value: Value, matches: ReturnType<typeof nodeMatcher>) {
    const { kind, bits } = dataTypes[value.dataType!];
    if (kind !== 'float') return `is ${value.dataType}, and gradients need floats`;
    if (bits !== 32) return `is ${value.dataType}, and steps are computed in float32`;
    if (value.graph !== model.graph) return 'is inside a subgraph or function';
    if (!value.initializer || !value.isConstant) return 'is no plain initializer';
    if ([...value.users].some(matches)) return 'is frozen by the caller';
    return undefined;
  }
}
