/**
 * Scan at opset 9: before, every input had a batch dim in front of the sequence dim. The batch
 * becomes a Scan of its own around the one over the sequence.
 */
import { intsAttribute } from '../../attribute.js';
import { Graph } from '../../graph.js';
import type { Value } from '../../value.js';
import { tensorType } from '../../value-type.js';
import { type Conversion, cannotConvert } from '../conversion.js';

export const scanChanges: readonly Conversion[] = [
  {
    op: 'Scan',
    since: 9,
    reads: ['num_scan_inputs', 'directions'],
    convert(node) {
      const [lengths, ...inputs] = node.inputs;
      if (lengths) throw cannotConvert(node, 'it has sequence_lens, which later versions lack');
      const body = node.graphAttribute('body');
      if (!body) throw cannotConvert(node, 'it has no body');
      const directions = node.has('directions') ? node.ints('directions') : [];
      const scanned = node.int('num_scan_inputs');
      const batch = new Graph(`${node.label}_batch`);
      // Owned before it is filled, so that its names are those of the whole model.
      batch.owner = node;
      const items = inputs.map((input, at) => {
        const name = batch.freshName(`${node.label}_item_${at}`);
        return batch.addInput(name, withoutBatch(input));
      });
      // The inner node owns the body from here on.
      const inner = batch.addNode({
        opType: 'Scan',
        name: `${node.label}_sequence`,
        inputs: items,
        outputs: body.outputs.map((output, at) => {
          const value = batch.addValue(batch.freshName(`${node.label}_${output.name}`));
          value.type = withoutBatch(node.outputs[at]);
          return value;
        }),
        attributes: {
          body,
          num_scan_inputs: scanned,
          ...(directions.length > 0 && { scan_input_directions: intsAttribute(directions) }),
        },
      });
      batch.outputs.push(...body.outputs.map((_, at) => inner.output(at)));
      node.removeAttribute('directions');
      node.setInputs(inputs);
      node.setAttribute('body', batch);
      node.setAttribute('num_scan_inputs', inputs.length);
      return 'the batch became a Scan around it';
    },
  },
];

/** The type of one item of the batch. */
function withoutBatch(value: Value | undefined) {
  const type = value?.type;
  if (type?.kind !== 'tensor') return tensorType(value?.dataType);
  return tensorType(type.dataType, type.dims?.slice(1));
}
