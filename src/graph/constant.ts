/**
 * Constants that an edit adds: an initializer where the graph can hold one, a Constant node in the
 * body of a function, which cannot. No numerics here.
 */
import type { Tensor } from '../onnx/tensor.js';
import type { Graph } from './graph.js';
import type { Node } from './node.js';
import type { Value } from './value.js';

/** True inside the body of a model function, its subgraphs included. */
export function inFunctionBody(graph: Graph): boolean {
  let top = graph;
  while (top.parent) top = top.parent;
  return top.model?.graph !== top;
}

/** A new constant that `user` can take as an input; the name is made fresh when it is taken. */
export function addConstant(user: Node, name: string, tensor: Tensor): Value {
  const graph = user.graph!;
  if (!inFunctionBody(graph)) return graph.addInitializer(name, tensor);
  const node = graph.addNode(
    {
      opType: 'Constant',
      inputs: [],
      outputs: [graph.freshName(name)],
      attributes: { value: tensor },
    },
    { before: user },
  );
  return node.output();
}
