/**
 * BatchNormalization: statistics per position (`spatial` = 0) went away at opset 9; training mode
 * became an attribute at 14 and lost two outputs. LayerNormalization: standardized at 17. GroupNormalization: scale and bias are per
 * channel since opset 21, and were per group.
 */
import { dataTypes, elementCount, type TypedArray } from '../../../onnx/data-type.js';
import { Tensor } from '../../../onnx/tensor.js';
import { addConstant } from '../../constant.js';
import type { Node } from '../../node.js';
import type { Value } from '../../value.js';
import {
  appendAfter,
  type Conversion,
  cannotConvert,
  dropIfUnused,
  dropOutput,
  insertBefore,
  replaceNode,
} from '../conversion.js';
import { elementTypeOf } from '../element-type.js';

export const normalizationChanges: readonly Conversion[] = [
  {
    op: 'BatchNormalization',
    since: 9,
    reads: ['spatial', 'epsilon'],
    needs: 'type',
    convert(node) {
      const spatial = node.int('spatial', 1);
      const had = node.has('spatial');
      node.removeAttribute('spatial');
      if (spatial === 1) return had ? 'spatial left out' : undefined;
      normalizeByPosition(node);
      return 'statistics per position became Sub, Div, Mul and Add';
    },
  },
  {
    op: 'BatchNormalization',
    since: 14,
    convert(node) {
      for (const index of [4, 3]) {
        if (dropOutput(node, index)) continue;
        throw cannotConvert(node, `its output ${index} (saved statistics) is used`);
      }
      if (dropOutput(node, 2) && dropOutput(node, 1)) return undefined;
      node.setAttribute('training_mode', 1);
      return 'training_mode is written out';
    },
  },
  {
    op: 'LayerNormalization',
    since: 17,
    needs: 'type',
    convert: toOneType,
  },
  {
    op: 'GroupNormalization',
    since: 21,
    reads: ['num_groups'],
    needs: 'rank',
    async convert(node) {
      const groups = node.int('num_groups');
      const channels = node.input(0).dims?.[1];
      if (channels === groups) return undefined;
      for (const index of [1, 2]) await toChannels(node, index, groups, channels);
      return 'scale and bias are per channel';
    },
  },
];

/** Y = (X - mean) / sqrt(var + epsilon) * scale + B, all but X of dims [C, D1, ..., Dn]. */
function normalizeByPosition(node: Node): void {
  const [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map((index) => node.input(index));
  for (const index of [4, 3, 2, 1]) {
    if (!dropOutput(node, index)) throw cannotConvert(node, `its output ${index} is used`);
  }
  const dataType = elementTypeOf(x!) ?? elementTypeOf(scale!);
  if (!dataType) throw cannotConvert(node, `the element type of "${x!.name}" is not known`);
  const epsilon = addConstant(
    node,
    `${node.label}_epsilon`,
    Tensor.scalar(dataType, node.float('epsilon', 1e-5)),
  );
  const safe = insertBefore(node, 'Add', [variance, epsilon]);
  const deviation = insertBefore(node, 'Sqrt', [safe]);
  const centered = insertBefore(node, 'Sub', [x, mean]);
  const normal = insertBefore(node, 'Div', [centered, deviation]);
  const scaled = insertBefore(node, 'Mul', [normal, scale]);
  replaceNode(node, 'Add', [scaled, bias!]);
}

/**
 * ONNX Runtime's own version, up to opset 16, took a scale of another type than X, whose type Y
 * then had. The standard operator has one type for all: computes in float and casts the result.
 */
function toOneType(node: Node): string | undefined {
  const types = [0, 1].map((index) => elementTypeOf(node.input(index)));
  const [inputType, scaleType] = types;
  if (!inputType || !scaleType || inputType === scaleType) return undefined;
  node.inputs.forEach((input, index) => {
    if (!input || elementTypeOf(input) === 'float') return;
    node.setInput(index, insertBefore(node, 'Cast', [input], { to: dataTypes.float.code }));
  });
  if (scaleType !== 'float') appendAfter(node, 'Cast', [], { to: dataTypes[scaleType].code });
  return `types ${inputType} and ${scaleType} became float`;
}

/** Repeats every entry of a vector [G] for the channels of its group. */
async function toChannels(
  node: Node,
  index: number,
  groups: number,
  channels: number | string | undefined,
): Promise<void> {
  const value = node.input(index);
  const tensor = node.constantInput(index);
  if (tensor && typeof channels === 'number') {
    const repeated = repeat(await tensor.array(), channels / groups);
    const name = `${value.name}_per_channel`;
    node.setInput(index, addConstant(node, name, Tensor.of(tensor.dataType, [channels], repeated)));
    dropIfUnused(value);
    return;
  }
  const list = (numbers: readonly number[]) =>
    addConstant(node, `${node.label}_dims`, Tensor.of('int64', [numbers.length], numbers));
  const column = insertBefore(node, 'Reshape', [value, list([groups, 1])]);
  const dims: Value =
    typeof channels === 'number' ? list([groups, channels / groups]) : computedDims(node, groups);
  const table = insertBefore(node, 'Expand', [column, dims]);
  node.setInput(index, insertBefore(node, 'Reshape', [table, list([-1])]));
}

/** [G, C / G] with C read from the input in the run. */
function computedDims(node: Node, groups: number): Value {
  const count = addConstant(node, `${node.label}_groups`, Tensor.of('int64', [1], [groups]));
  const channels = insertBefore(node, 'Shape', [node.input(0)], { start: 1, end: 2 });
  const each = insertBefore(node, 'Div', [channels, count]);
  return insertBefore(node, 'Concat', [count, each], { axis: 0 });
}

function repeat(array: TypedArray, times: number): TypedArray {
  const Constructor = array.constructor as new (length: number) => TypedArray;
  const out = new Constructor(elementCount([array.length, times]));
  for (let i = 0; i < out.length; i++) {
    (out as Record<number, number | bigint>)[i] = array[Math.floor(i / times)]!;
  }
  return out;
}
