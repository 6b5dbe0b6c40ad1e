/**
 * Why a node of the runtime's graph computes in float although integers are around it. The cause
 * is read off the node's surroundings; which kernels exist is the runtime's affair.
 * Source: the conditions of ONNX Runtime 1.30's QDQ selectors, each seen in a graph read back.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { dataTypes } from '../../onnx/data-type.js';
import { integerRoles } from '../../ops/integer-roles.js';

/**
 * @param node of the runtime's graph, with types inferred
 * @returns a phrase such as 'runs as float Conv: no QuantizeLinear takes its output'
 */
export function floatReason(node: Node, isQuantizedType: (value: Value) => boolean): string {
  const causes = [...inputCauses(node), ...outputCauses(node)];
  if (causes.length === 0) causes.push(...scaleCauses(node, isQuantizedType));
  return `runs as float ${node.op}: ${causes.join('; ')}`;
}

function inputCauses(node: Node): string[] {
  const causes: string[] = [];
  const found = node.inputs.filter((input): input is Value => input !== undefined);
  for (const input of found) {
    if (input.dataType && dataTypes[input.dataType].kind !== 'float') continue;
    if (input.producer?.opType === 'DequantizeLinear') continue;
    causes.push(`its input "${input.name}" is float`);
  }
  return causes;
}

function outputCauses(node: Node): string[] {
  const output = node.outputs[0];
  // A node that keeps its weights can give float (Gemm), all others need the QuantizeLinear.
  const role = integerRoles[node.op];
  if (!output || (role?.kind === 'compute' && role.floatOutput)) return [];
  const quantizes = [...output.users].filter(({ opType }) => opType === 'QuantizeLinear');
  if (quantizes.length === 0) return ['no QuantizeLinear takes its output'];
  const others = [...output.users].filter((user) => !quantizes.includes(user));
  if (others.length > 0) return [`its float output goes to ${others[0]} too`];
  if (output.isOutput) return [`its float output "${output.name}" is an output of the model`];
  return [];
}

/** All is quantized, so it is types or scales that do not go together. */
function scaleCauses(node: Node, isQuantizedType: (value: Value) => boolean): string[] {
  const before = node.inputs.map((input) => input?.producer?.inputs[0]);
  const activations = before.filter((value) => value && isQuantizedType(value));
  const [first] = activations;
  const after = [...(node.outputs[0]?.users ?? [])][0]?.outputs[0];
  const sixteen = activations.find((value) => dataTypes[value!.dataType!].bits > 8);
  if (sixteen) return [`no kernel computes with ${sixteen.dataType}`];
  if (first && after && isQuantizedType(after) && first.dataType !== after.dataType) {
    return [`its input is ${first.dataType} and its output ${after.dataType}`];
  }
  if (!integerRoles[node.op]) {
    return ['what is merged into it is no part of the integer kernel'];
  }
  return ['the scales or zero points around it do not fit the integer kernel'];
}
