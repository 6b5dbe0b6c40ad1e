/**
 * Turns Constant nodes into initializers, where weights are looked for. Inside functions, which
 * have no initializers, and for sparse content they stay.
 */
import * as z from 'zod/mini';
import { inFunctionBody } from '../graph/constant.js';
import type { Node } from '../graph/node.js';
import { Tensor } from '../onnx/tensor.js';
import { definePass, ReportBuilder } from '../pass.js';
import { makeConstant } from './edit.js';

export const constantsToInitializers = definePass({
  name: 'constants-to-initializers',
  summary: 'Turns Constant nodes into initializers.',
  options: z.object({}),
  async run(model) {
    const report = new ReportBuilder();
    for (const graph of model.graph.allGraphs()) {
      if (inFunctionBody(graph)) continue;
      for (const node of graph.nodes) {
        if (node.op !== 'Constant') continue;
        const output = node.output();
        const tensor = contentOf(node);
        if (!tensor) {
          report.skip(node, 'its content is sparse');
        } else if (output.isOutput) {
          report.skip(node, 'a graph output returns it');
        } else {
          report.change(node, 'made an initializer');
          makeConstant(output, tensor);
          graph.removeNode(node);
        }
      }
    }
    return report;
  },
});

/** Since opset 12 small contents have attributes of their own. */
function contentOf(node: Node): Tensor | undefined {
  for (const [name, attribute] of node.attributes) {
    switch (attribute.type) {
      case 'tensor':
        return attribute.value;
      case 'float':
        return Tensor.scalar('float', attribute.value);
      case 'floats':
        return Tensor.of('float', [attribute.value.length], attribute.value);
      case 'int':
        return Tensor.scalar('int64', attribute.value);
      case 'ints':
        return Tensor.of('int64', [attribute.value.length], attribute.value);
      case 'string':
        return stringsOf([], [attribute.value]);
      case 'strings':
        return stringsOf([attribute.value.length], attribute.value);
      default:
        if (name !== 'sparse_value') continue;
    }
  }
  return undefined;
}

function stringsOf(dims: readonly number[], strings: readonly Uint8Array[]): Tensor {
  return new Tensor('string', dims, { kind: 'strings', strings });
}
