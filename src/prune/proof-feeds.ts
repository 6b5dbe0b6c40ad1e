/**
 * Inputs for a proof, made of the types of the model's inputs: normal numbers for floats, valid
 * indices for integers that are looked up in a table, ones for other integers (masks, switches).
 */
import type { Feeds, HostTensor } from '../engine/engine.js';
import { hostTensor, randomFeeds } from '../engine/host-tensor.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { dataTypes, elementCount } from '../onnx/data-type.js';
import { createRandom } from '../random.js';
import type { Coupling } from './family.js';
import { chooseDims } from './open-dims.js';

interface FeedOptions {
  readonly count: number;
  readonly seed: number;
  readonly dims?: Readonly<Record<string, number | readonly number[]>> | undefined;
}

export function proofFeeds({ model, dims }: Coupling, options: FeedOptions): Feeds[] {
  const inputs = model.graph.inputs.filter((value) => !value.initializer);
  const chosen = chooseDims(model, options.dims);
  const ports = inputs.map((value) => ({
    name: value.name,
    dataType: value.dataType,
    dims: value.dims?.map((dim) => dim ?? '?'),
  }));
  return Array.from({ length: options.count }, (_, i) => {
    const feeds = randomFeeds(ports, { seed: options.seed + i, dims: chosen });
    const random = createRandom(options.seed + i);
    for (const value of inputs) {
      const feed = feeds[value.name]!;
      const { kind } = dataTypes[feed.dataType];
      if (kind !== 'signed' && kind !== 'unsigned') continue;
      const rows = tableRows(value, dims);
      const next = rows === undefined ? () => 1 : () => random.int(rows);
      feeds[value.name] = integers(feed, next);
    }
    return feeds;
  });
}

function integers({ dataType, dims }: HostTensor, next: () => number): HostTensor {
  const ArrayOfType = dataTypes[dataType].array!;
  const values = new ArrayOfType(elementCount(dims));
  for (let i = 0; i < values.length; i++) {
    if (values instanceof BigInt64Array || values instanceof BigUint64Array)
      values[i] = BigInt(next());
    else values[i] = next();
  }
  return hostTensor(dataType, dims, values);
}

/** The fewest rows of the tables that an input is looked up in, through nodes that only move it. */
function tableRows(input: Value, dims: ReadonlyMap<Value, readonly number[]>): number | undefined {
  let rows: number | undefined;
  const seen = new Set<Node>();
  const visit = (value: Value): void => {
    for (const { node, index } of value.uses) {
      if (seen.has(node)) continue;
      seen.add(node);
      if (node.op === 'Gather' && index === 1) {
        const table = node.inputs[0] && dims.get(node.inputs[0]);
        const axis = node.int('axis', 0);
        const size = table?.at(axis);
        if (size !== undefined) rows = Math.min(rows ?? size, size);
      } else if (movers.has(node.op)) for (const output of node.outputs) if (output) visit(output);
    }
  };
  visit(input);
  return rows;
}

const movers: ReadonlySet<string> = new Set([
  'Cast',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Slice',
  'Identity',
  'Expand',
  'Flatten',
]);
