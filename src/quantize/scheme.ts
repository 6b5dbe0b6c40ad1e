/**
 * The loop that all schemes of integer weights share: choose nodes, apply the rewrite of their
 * operator, and account for every node that stays float.
 */
import { throwIfAborted } from '../errors.js';
import { removeDead } from '../graph/dead.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { raiseOpset } from '../graph/opset/upgrade.js';
import { type PassContext, ReportBuilder } from '../pass.js';
import { type NodeChoice, nodeChooser } from '../pattern.js';
import { dropWeightInputs } from '../simplify/drop-weight-inputs.js';
import { type RewriteResult, Rewriter } from './rewriter.js';

export interface SchemeRun<Options extends NodeChoice> {
  readonly rewrites: Readonly<
    Record<string, (node: Node, rewriter: Rewriter, options: Options) => Promise<RewriteResult>>
  >;
  readonly options: Options;
  readonly context: PassContext;
  /** The lowest version of the standard operators that the scheme's own nodes need. */
  readonly opset: number;
}

export async function runScheme<Options extends NodeChoice>(
  model: Model,
  { rewrites, options, context, opset }: SchemeRun<Options>,
): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const leaveOut = nodeChooser(model, options);
  const mayRewrite = (node: Node) => rewrites[node.op] !== undefined && !leaveOut(node);
  if ([...model.graph.allNodes()].some(mayRewrite)) {
    report.notes.push(...(await dropWeightInputs.run(model, {}, context)).notes);
    report.notes.push(...(await raiseOpset(model, opset, context)).notes);
  }
  const rewriter = new Rewriter(model);
  const nodes = [...model.graph.allNodes()];
  const left: { node: Node; label: string; reason: string }[] = [];
  const task = context.progress.task('quantize weights', nodes.length);
  for (const [done, node] of nodes.entries()) {
    throwIfAborted(context.signal);
    // The label is read before the rewrite takes the node's outputs away.
    const { label, op } = node;
    task.update(done, label);
    const result = await rewriteNode(node);
    if ('done' in result) report.changed.push({ node: label, op, what: result.done });
    else left.push({ node, label, reason: result.reason });
  }
  task.end();
  if (report.changed.length > 0) removeDead(model.graph);
  // Nodes that only served a weight (its Transpose, its Constant) left with it.
  for (const { node, label, reason } of left) {
    if (node.graph) report.skipped.push({ node: label, op: node.op, reason });
  }
  for (const fn of model.functions) {
    for (const node of fn.body.allNodes()) {
      if (rewrites[node.op]) report.skip(node, `inside the model function ${fn.name}`);
    }
  }
  return report;

  async function rewriteNode(node: Node): Promise<RewriteResult> {
    const reason = leaveOut(node);
    if (reason) return { reason };
    const rewrite = rewrites[node.op];
    if (!rewrite) return { reason: `no quantized form of ${node.op} in this scheme` };
    return rewrite(node, rewriter, options);
  }
}
