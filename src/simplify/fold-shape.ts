/**
 * Computes Shape and Size of values whose dims are known, and what Gather and Slice take of a Shape
 * when they take known dims only. Dims that are symbolic or unknown stay computed.
 */
import * as z from 'zod/mini';
import { inFunctionBody } from '../graph/constant.js';
import type { Node } from '../graph/node.js';
import type { Dim } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { definePass, ReportBuilder } from '../pass.js';
import { isAnnotated, makeConstant } from './edit.js';
import { constantNumbers, knownDims, listOf } from './known.js';

export const foldShape = definePass({
  name: 'fold-shape',
  summary: 'Computes Shape and Size where the dims are known.',
  options: z.object({}),
  async run(model) {
    const report = new ReportBuilder();
    for (const graph of [...model.graph.allGraphs()]) {
      if (inFunctionBody(graph)) continue;
      for (const node of graph.nodes) {
        const rule = Object.hasOwn(rules, node.op) ? rules[node.op] : undefined;
        const result = rule && (await rule(node));
        if (!result || isAnnotated(node.output())) continue;
        report.change(node, `computed as [${await result.numbers()}]`);
        makeConstant(node.output(), result);
        graph.removeNode(node);
      }
    }
    return report;
  },
});

const rules: Readonly<Record<string, (node: Node) => Promise<Tensor | undefined>>> = {
  Shape: async (node) => {
    const dims = shapeDims(node);
    return allKnown(dims) ? Tensor.of('int64', [dims.length], dims) : undefined;
  },
  Size: async (node) => {
    const dims = knownDims(node.input(0));
    return allKnown(dims)
      ? Tensor.scalar(
          'int64',
          dims.reduce((count, dim) => count * dim, 1),
        )
      : undefined;
  },
  Gather: async (node) => {
    const dims = gatheredDims(node);
    const indices = dims && (await constantNumbers(node, 1));
    const taken = indices?.map((index) => dims?.at(index));
    return allKnown(taken) ? Tensor.of('int64', node.constantInput(1)!.dims, taken) : undefined;
  },
  Slice: async (node) => {
    const dims = gatheredDims(node);
    const lists = await Promise.all([
      listOf(node, 'starts', 1),
      listOf(node, 'ends', 2),
      listOf(node, 'steps', 4),
    ]);
    const [starts, ends, steps] = lists;
    if (!dims || !Array.isArray(starts) || !Array.isArray(ends) || steps === undefined) {
      return undefined;
    }
    const step = steps === 'absent' ? 1 : steps[0];
    if (starts.length !== 1 || step !== 1) return undefined;
    const taken = dims.slice(starts[0], ends[0]);
    return allKnown(taken) ? Tensor.of('int64', [taken.length], taken) : undefined;
  },
};

/** Dims that a Shape node returns; since opset 15 it may take a range of them. */
function shapeDims(node: Node): readonly Dim[] | undefined {
  const dims = knownDims(node.input(0));
  return dims?.slice(node.int('start', 0), node.int('end', dims.length));
}

function gatheredDims(node: Node): readonly Dim[] | undefined {
  const producer = node.input(0).producer;
  // A shape has one axis, so that is the one that the node works on.
  return producer?.op === 'Shape' ? shapeDims(producer) : undefined;
}

function allKnown(dims: readonly Dim[] | undefined): dims is readonly number[] {
  return dims?.every((dim) => typeof dim === 'number') ?? false;
}
