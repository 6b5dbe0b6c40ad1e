/**
 * The activation side of dynamic quantization: DynamicQuantizeLinear finds scale and zero point of
 * a tensor anew in every run. One per activation, shared by all nodes that take it.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import type { DataType } from '../../onnx/data-type.js';
import type { Rewriter } from '../rewriter.js';

export interface DynamicActivation {
  readonly values: Value;
  readonly scale: Value;
  readonly zeroPoint: Value;
}

/** Source: ONNX DynamicQuantizeLinear-11, which takes float32 only; other floats are cast. */
export function quantizeActivation(
  rewriter: Rewriter,
  node: Node,
  value: Value,
  dataType: DataType,
): DynamicActivation {
  const values = rewriter.once(node.graph!, `${value.name}|quantized`, () => {
    const float = dataType === 'float' ? value : rewriter.cast(node, value, 'float');
    return rewriter.emitNode(node, 'DynamicQuantizeLinear', [float], {}, '', 3).output();
  });
  const quantizer = values.producer!;
  return { values, scale: quantizer.output(1), zeroPoint: quantizer.output(2) };
}
