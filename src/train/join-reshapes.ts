/**
 * Takes Reshape nodes out of a step. Gradients present every value anew, often as what it was two
 * nodes before, and each such node costs the runtime 5 us and more: 507 of the 1,043 nodes of a step
 * of MobileNetV1-0.25 were Reshape, a tenth of the time of its kernels with two threads. Changes no
 * number. Simplification does not do this: it leaves a Reshape that somebody else uses too.
 */
import { removeDead } from '../graph/dead.js';
import type { Graph } from '../graph/graph.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { Tensor } from '../onnx/tensor.js';
import { constantNumbers, staticDims } from '../simplify/known.js';

/**
 * Every Reshape reads what stands before all others, and those that end with the dims of that are
 * left out.
 *
 * @param kept values besides the outputs of the graph that somebody will read
 */
export async function joinReshapes(graph: Graph, kept: readonly Value[] = []): Promise<void> {
  const read = new Set(kept);
  for (const node of [...graph.nodes]) {
    const dims = isReshape(node) ? await targetOf(node) : undefined;
    if (!dims) continue;
    const own = node.input(0);
    const source = sourceOf(own);
    if (source !== own) {
      node.setInput(0, source);
      node.setInput(1, graph.addInitializer(graph.freshName(`${node.label}/shape`), shape(dims)));
    }
    const output = node.output();
    const isSame = `${staticDims(source)}` === `${dims}`;
    if (isSame && !output.isOutput && !read.has(output)) output.replaceUses(source);
  }
  removeDead(graph, read);
}

function isReshape(node: Node): boolean {
  return node.op === 'Reshape' && node.int('allowzero', 0) === 0;
}

function sourceOf(value: Value): Value {
  let source = value;
  while (source.producer && isReshape(source.producer)) source = source.producer.input(0);
  return source;
}

/** The target without what it copies of the input; undefined where that is not known. */
async function targetOf(node: Node): Promise<number[] | undefined> {
  const [target, from] = [await constantNumbers(node, 1), staticDims(node.input(0))];
  const own = staticDims(node.output());
  // Of no elements a 0 says nothing and a -1 is not determined.
  if (own) return own.includes(0) ? undefined : [...own];
  const dims = target?.map((dim, axis) => (dim === 0 ? from?.[axis] : dim));
  return dims?.every((dim) => dim !== undefined && dim !== 0) ? (dims as number[]) : undefined;
}

function shape(dims: readonly number[]): Tensor {
  return Tensor.of('int64', [dims.length], dims.map(BigInt));
}
