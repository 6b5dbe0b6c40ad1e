/**
 * Merges nodes that compute the same from the same: same operator, attributes and inputs in one
 * graph. Random operators, nodes with subgraphs and unknown domains are never merged, and neither
 * are the nodes of quantization, which runtimes want beside each operator.
 */
import * as z from 'zod/mini';
import type { Attribute } from '../graph/attribute.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { isDeterministic, traitsOf } from '../ops/traits.js';
import { definePass, ReportBuilder } from '../pass.js';
import { replaceValue, whyNotReplace } from './edit.js';

export const mergeDuplicates = definePass({
  name: 'merge-duplicates',
  summary: 'Merges nodes that compute the same from the same inputs.',
  options: z.object({}),
  async run(model) {
    const report = new ReportBuilder();
    for (const graph of [...model.allGraphs()]) {
      const ids = new Map<Value, number>();
      const first = new Map<string, Node>();
      for (const node of graph.nodes) {
        const key = keyOf(node, ids);
        const twin = key === undefined ? undefined : first.get(key);
        if (!twin) {
          if (key !== undefined) first.set(key, node);
          continue;
        }
        const { label, op } = node;
        const why = merge(node, twin);
        if (why) report.skip(node, `same as ${twin.label}, but ${why}`);
        else report.changed.push({ node: label, op, what: `merged into ${twin.label}` });
      }
    }
    return report;
  },
});

/** Hands the uses of one node's outputs to those of its twin, all or none. */
function merge(node: Node, twin: Node): string | undefined {
  const pairs: [Value, Value][] = [];
  for (const [index, output] of node.outputs.entries()) {
    if (!output || output.isUnused) continue;
    const other = twin.outputs[index];
    if (!other) return `that one leaves out output ${index}`;
    const why = whyNotReplace(output, other);
    if (why) return why;
    pairs.push([output, other]);
  }
  for (const [output, other] of pairs) {
    other.type ??= output.type;
    replaceValue(output, other);
  }
  node.graph!.removeNode(node);
  return undefined;
}

/** Equal for nodes that compute the same; undefined for a node that is never merged. */
function keyOf(node: Node, ids: Map<Value, number>): string | undefined {
  if (node.subgraphs.length > 0 || traitsOf(node.op).quantization) return undefined;
  // Without inputs it is a constant; those are merged as initializers.
  if (node.inputs.length === 0 || !isDeterministic(node)) return undefined;
  const inputs = node.inputs.map((value) => {
    if (!value) return '';
    const id = ids.get(value) ?? ids.size;
    ids.set(value, id);
    return id;
  });
  const attributes: string[] = [];
  for (const [name, attribute] of node.attributes) {
    const text = attributeKey(attribute);
    if (text === undefined) return undefined;
    attributes.push(`${name}=${text}`);
  }
  // How many outputs a node has can change what it does (Split).
  const outputs = node.outputs.length;
  return [node.op, node.overload, outputs, inputs, ...attributes.sort()].join('\n');
}

/** Tensors in attributes are compared up to this size; larger ones count as different. */
const tensorBytes = 4096;

function attributeKey(attribute: Attribute): string | undefined {
  const { type, value } = attribute;
  switch (type) {
    case 'float':
    case 'floats':
    case 'int':
    case 'ints':
    case 'string':
      // Object.is tells 0 from -0, String does not.
      return `${type}:${Object.is(value, -0) ? '-0' : String(value)}`;
    case 'strings':
      return `${type}:${value.map((bytes) => `${bytes.length}:${bytes}`)}`;
    case 'reference':
      return `${type}:${attribute.typeCode}:${value}`;
    case 'tensor': {
      const { content, dataType, dims } = value;
      if (content.kind !== 'bytes' || content.bytes.length > tensorBytes) return undefined;
      return `${type}:${dataType}[${dims}]${content.bytes}`;
    }
    default:
      return undefined;
  }
}
