/**
 * The loop that all schemes share: choose nodes, apply the rewrite of their operator, and account
 * for every node that stays float.
 */
import { throwIfAborted } from '../errors.js';
import { removeDead } from '../graph/dead.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { raiseOpset } from '../graph/opset/upgrade.js';
import { type PassContext, ReportBuilder } from '../pass.js';
import { checkPatterns, nodeMatcher } from '../pattern.js';
import { dropWeightInputs } from '../simplify/drop-weight-inputs.js';
import { type RewriteResult, Rewriter } from './rewriter.js';

export interface SchemeOptions {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

export interface SchemeRun<Options extends SchemeOptions> {
  readonly rewrites: Readonly<
    Record<string, (node: Node, rewriter: Rewriter, options: Options) => Promise<RewriteResult>>
  >;
  readonly options: Options;
  readonly context: PassContext;
  /** The lowest version of the standard operators that the scheme's own nodes need. */
  readonly opset: number;
}

export async function runScheme<Options extends SchemeOptions>(
  model: Model,
  { rewrites, options, context, opset }: SchemeRun<Options>,
): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  checkPatterns(options.include, model.allNodes(), 'include');
  checkPatterns(options.exclude, model.allNodes(), 'exclude');
  const included = nodeMatcher(options.include);
  const excluded = nodeMatcher(options.exclude);
  // New initializers are no graph inputs, which only IR 4 and later allow.
  report.notes.push(...(await dropWeightInputs.run(model, {}, context)).notes);
  report.notes.push(...(await raiseOpset(model, opset, context)).notes);
  const rewriter = new Rewriter(model);
  const nodes = [...model.graph.allNodes()];
  const task = context.progress.task('quantize weights', nodes.length);
  for (const [done, node] of nodes.entries()) {
    throwIfAborted(context.signal);
    task.update(done, node.label);
    const rewrite = rewrites[node.op];
    if (excluded(node)) report.skip(node, 'excluded by the caller');
    else if (options.include.length > 0 && !included(node)) report.skip(node, 'not included');
    else if (!rewrite) report.skip(node, `no quantized form of ${node.op} in this scheme`);
    else {
      // The label is read before the rewrite takes the node's outputs away.
      const { label, op } = node;
      const result = await rewrite(node, rewriter, options);
      if ('done' in result) report.changed.push({ node: label, op, what: result.done });
      else report.skipped.push({ node: label, op, reason: result.reason });
    }
  }
  task.end();
  for (const fn of model.functions) {
    for (const node of fn.body.allNodes()) {
      if (rewrites[node.op]) report.skip(node, `inside the model function ${fn.name}`);
    }
  }
  if (report.changed.length > 0) removeDead(model.graph);
  return report;
}
