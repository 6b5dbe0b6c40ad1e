/**
 * Raises the operator set of a model by converting every node whose operator changed on the way:
 * the model means the same before and after. Main graph, subgraphs and function bodies; other
 * operator domains have versions of their own and stay. Works version by version, so that each
 * conversion only knows its own step.
 */
import * as z from 'zod/mini';
import type { Engine } from '../../engine/engine.js';
import { inferShapes } from '../../engine/shapes.js';
import { messageOf, PareError, throwIfAborted } from '../../errors.js';
import { definePass, ReportBuilder } from '../../pass.js';
import type { Graph } from '../graph.js';
import type { Model } from '../model.js';
import type { Node } from '../node.js';
import type { Value } from '../value.js';
import { type Conversion, cannotConvert } from './conversion.js';
import { conversionsAt } from './conversions.js';
import { elementTypeOf } from './element-type.js';
import { minimumIrVersion } from './ir-version.js';
import { isStandardOperator, newestOpset, removedAt } from './versions.js';

/**
 * Raises a model to an opset of the standard operators; one that is there or above stays.
 *
 * @example
 * const { model, report } = await applyPass(old, upgradeOpset, { target: 21 }, { engine });
 */
export const upgradeOpset = definePass({
  name: 'upgrade-opset',
  summary: 'Raises the opset by converting every operator that changed on the way.',
  options: z.object({
    /** Opset to reach, 7 to 26. */
    target: z._default(z.int().check(z.gte(7), z.lte(newestOpset)), 21),
  }),
  run: (model, { target }, context) => raiseOpset(model, target, context),
});

export interface RaiseOptions {
  /** Infers shapes where a conversion can use them. Without it the types in the file count. */
  readonly engine?: Engine | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The same on this model itself, for passes that need a newer opset. Never lowers, and does
 * nothing where the model is new enough.
 *
 * Throws PareError `unsupported`, which names the node, where an operator is not known or has no
 * equivalent; the model is then half converted, so work on a copy (`applyPass` does).
 */
export async function raiseOpset(
  model: Model,
  target: number,
  options: RaiseOptions = {},
): Promise<ReportBuilder> {
  if (!Number.isInteger(target) || target < 1 || target > newestOpset) {
    throw new PareError('usage', `upgrade-opset: the target is ${target}, not 7 to ${newestOpset}`);
  }
  const report = new ReportBuilder();
  const scopes = scopesOf(model).filter(({ from }) => from < target);
  if (scopes.length === 0) return report;
  for (const { graph, from } of scopes) checkOperators(graph, from);
  raiseIrVersion(model, target, report);
  // Inferred types serve the conversions; in the file they would only take room.
  const types = new Map(Array.from(model.graph.values, (value) => [value, value.type]));
  await inferWhereUseful(model, scopes, target, options, report);
  for (const { graph, opsets, from, name } of scopes) {
    for (let version = from + 1; version <= target; version++) {
      throwIfAborted(options.signal);
      await convertStep(graph, version, report);
      opsets.set('', version);
    }
    report.note(`opset${name} raised from ${from} to ${target}`);
  }
  for (const value of model.graph.values) if (types.has(value)) value.type = types.get(value);
  return report;
}

/** A graph with its own opsets: the main graph, or the body of a function. */
interface Scope {
  readonly graph: Graph;
  readonly opsets: Map<string, number>;
  readonly from: number;
  /** For notes: '' for the main graph. */
  readonly name: string;
}

function scopesOf(model: Model): Scope[] {
  const scopes: Scope[] = [];
  const add = (graph: Graph, opsets: Map<string, number>, name: string) => {
    const from = opsets.get('');
    if (from !== undefined) scopes.push({ graph, opsets, from, name });
  };
  add(model.graph, model.opsets, '');
  for (const { body, domain, name } of model.functions) {
    if (body.opsets) add(body, body.opsets, ` of function ${domain}:${name}`);
  }
  return scopes;
}

/** Refuses what the tables do not know, before anything changes. */
function checkOperators(graph: Graph, opset: number): void {
  const functions = new Set(graph.model?.functions.map(({ domain, name }) => `${domain}:${name}`));
  for (const node of graph.allNodes()) {
    if (node.domain !== '' || functions.has(`:${node.opType}`)) continue;
    if (!isStandardOperator(node.opType)) {
      throw new PareError(
        'unsupported',
        `upgrade-opset: ${node.opType} is no operator of the standard domain that is known`,
        { node: node.label, hint: 'keep the opset of this model' },
      );
    }
    const gone = removedAt(node.opType);
    if (gone !== undefined && opset >= gone) {
      throw new PareError(
        'unsupported',
        `upgrade-opset: ${node.opType} was removed at opset ${gone}, the model has opset ${opset}`,
        { node: node.label, hint: 'the model is invalid; export it again' },
      );
    }
  }
}

/**
 * Before IR 4 every initializer had to be an input as well and no runtime let one override it;
 * from then on such an input is a default that can be overridden, which stops optimizations.
 */
function raiseIrVersion(model: Model, target: number, report: ReportBuilder): void {
  // New initializers that are no inputs need IR 4 in any case.
  const wanted = Math.max(minimumIrVersion(target), 4);
  const before = model.irVersion;
  if (before >= wanted) return;
  model.irVersion = wanted;
  report.note(`IR version raised from ${before} to ${wanted}`);
  if (before >= 4) return;
  const { inputs } = model.graph;
  const kept = inputs.filter((input) => !input.initializer && !input.sparse);
  if (kept.length === inputs.length) return;
  report.note(`${inputs.length - kept.length} initializers are no longer listed as inputs`);
  inputs.splice(0, inputs.length, ...kept);
}

async function inferWhereUseful(
  model: Model,
  scopes: readonly Scope[],
  target: number,
  { engine, signal }: RaiseOptions,
  report: ReportBuilder,
): Promise<void> {
  const main = scopes.find(({ graph }) => graph === model.graph);
  if (!engine || !main) return;
  const needs = new Map<string, Conversion['needs']>();
  for (let version = main.from + 1; version <= target; version++) {
    for (const [op, rows] of conversionsAt(version)) {
      for (const row of rows) if (row.needs) needs.set(op, row.needs);
    }
  }
  const gain = [...main.graph.nodes].some((node) => {
    const need = node.domain === '' ? needs.get(node.opType) : undefined;
    const lacks = need === 'rank' ? (value: Value) => !value.dims : lacksElementType;
    return need !== undefined && node.inputs.some((input) => input && lacks(input));
  });
  if (!gain) return;
  try {
    await inferShapes(engine, model, { signal });
  } catch (error) {
    throwIfAborted(signal);
    report.note(`shapes are those of the file, the runtime infers none: ${messageOf(error)}`);
  }
}

function lacksElementType(value: Value): boolean {
  return elementTypeOf(value) === undefined;
}

async function convertStep(top: Graph, version: number, report: ReportBuilder): Promise<void> {
  const table = conversionsAt(version);
  if (table.size === 0) return;
  for (const graph of [...top.allGraphs()]) {
    for (const node of graph.nodes) {
      const rows = node.domain === '' ? table.get(node.opType) : undefined;
      for (const row of rows ?? []) await convert(node, row, report);
    }
  }
}

async function convert(node: Node, row: Conversion, report: ReportBuilder): Promise<void> {
  const { label, op } = node;
  const given = row.reads?.find((name) => node.attributes.get(name)?.type === 'reference');
  if (given !== undefined) {
    throw cannotConvert(node, `its attribute ${given} is given by the call of the function`);
  }
  const what = await row.convert(node);
  if (what !== undefined) report.changed.push({ node: label, op, what });
}
