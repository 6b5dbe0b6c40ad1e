/**
 * Small models and data for the tests of this folder. Not part of the library's interface.
 */
import type { Dataset, Sample } from '../data/dataset.js';
import type { HostTensor } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { Model } from '../graph/model.js';
import { type Dim, tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import type { NamedModel } from './named-model.js';

/** y = x W for W of [inputs, outputs] rows; x is [batch, inputs]. */
export function linearModel(rows: readonly (readonly number[])[], batch: Dim = 'N'): Model {
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const outputs = rows[0]!.length;
  const x = graph.addInput('x', tensorType('float', [batch, rows.length]));
  const w = graph.addInitializer('w', Tensor.of('float', [rows.length, outputs], rows.flat()));
  const node = graph.addNode({ opType: 'MatMul', name: 'fc', inputs: [x, w], outputs: ['y'] });
  node.output().type = tensorType('float', [batch, outputs]);
  graph.outputs.push(node.output());
  return model;
}

/** Logits of the next token are a row of the table, by the current id: [1, len] to [1, len, vocabulary]. */
export function tokenModel(table: readonly (readonly number[])[]): Model {
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const ids = graph.addInput('input_ids', tensorType('int64', [1, 'len']));
  const width = table[0]!.length;
  const t = graph.addInitializer('table', Tensor.of('float', [table.length, width], table.flat()));
  const node = graph.addNode({ opType: 'Gather', inputs: [t, ids], outputs: ['logits'] });
  node.output().type = tensorType('float', [1, 'len', width]);
  graph.outputs.push(node.output());
  return model;
}

export async function named(name: string, model: Model): Promise<NamedModel> {
  return { name, source: await modelSource(model) };
}

export function floats(values: readonly number[]): HostTensor {
  return hostTensor('float', [values.length], Float32Array.from(values));
}

export function ids(values: readonly number[]): HostTensor {
  return hostTensor('int64', [values.length], BigInt64Array.from(values, BigInt));
}

/** Samples in memory, with labels where they are given. */
export function datasetOf(
  inputs: readonly (HostTensor | Sample['inputs'])[],
  labels?: readonly (number | undefined)[],
): Dataset {
  const samples = inputs.map(
    (input, at): Sample => ({
      id: String(at),
      inputs: 'dims' in input ? { '': input as HostTensor } : (input as Sample['inputs']),
      label: labels?.[at],
    }),
  );
  return {
    name: 'test',
    size: samples.length,
    hasLabels: labels !== undefined,
    preprocessing: 'none',
    async *samples(indices = [...samples.keys()]) {
      for (const at of Array.from(indices)) yield samples[at]!;
    },
    fingerprint: async () => 'test',
  };
}
