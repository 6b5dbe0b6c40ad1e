/**
 * Lets the first layer do what is left of the preprocessing: x * factor + shift per channel goes
 * into its weight and bias. Where it pads with zeros, a shift is no bias at the border, and there
 * are two ways out: one more input channel of a constant, which the padding ends where it ends the
 * picture (exact), or the bias all the same (wrong at the border by what is left of the shift).
 */
import { intsAttribute } from '../../graph/attribute.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { scaleWeight } from '../../simplify/affine.js';
import { setConstantInput } from '../../simplify/edit.js';
import { type Linear, linearOf, planBefore, whyNotBefore } from '../../simplify/linear.js';
import { type RawScale, type RawType, rawRange } from './raw-scale.js';

export type Border = 'exact' | 'nearest' | 'float';

export interface FoldedLayer {
  readonly node: Node;
  /** Phrase for the report. */
  readonly what: string;
  readonly isExact: boolean;
}

/**
 * Folds into the only user of `value`, the dequantized input. Returns why not where it cannot.
 *
 * @param raw the integers that `value` is dequantized from, in the layout of `value`
 */
export async function foldIntoFirstLayer(
  value: Value,
  raw: RawScale,
  dataType: RawType,
  border: Border,
): Promise<FoldedLayer | string> {
  const use = value.onlyUse;
  const linear = use && linearOf(use.node);
  if (!use || !linear) return 'the input does not go into one layer with weights alone';
  if ('reason' in linear) return linear.reason;
  if (use.index !== linear.dataIndex) return `${linear.node.label} takes it as its weight`;
  const { inChannels } = linear.layout;
  if (raw.factor.length > 1 && raw.factor.length !== inChannels) {
    return `${linear.node.label} has ${inChannels} input channels, mean and std ${raw.factor.length}`;
  }
  const spread = (list: Float64Array) =>
    Float64Array.from({ length: inChannels }, (_, c) => list[list.length === 1 ? 0 : c]!);
  const affine = { scale: spread(raw.factor), shift: spread(raw.shift) };
  const uneven = whyNotBefore(linear, affine);
  if (uneven && border === 'exact') {
    const channel = await addBorderChannel(linear, value, affine, raw, dataType);
    if (typeof channel === 'string') return channel;
    return {
      node: linear.node,
      what: `preprocessing folded into the weight, with a constant channel (raw ${channel.value}) that keeps the border exact`,
      isExact: true,
    };
  }
  const apply = await planBefore(linear, affine);
  if (!apply) return `the folded weight of ${linear.node.label} would leave the range of its type`;
  apply();
  return {
    node: linear.node,
    what: uneven
      ? 'preprocessing folded into weight and bias; differs at the padded border'
      : 'preprocessing folded into weight and bias',
    isExact: !uneven,
  };
}

/**
 * Input channel C with the constant raw value v: its weight sum_c W[o,c] shift[c] / x(v) adds the
 * shift wherever the picture is, and nothing where the padding is.
 */
async function addBorderChannel(
  linear: Linear,
  value: Value,
  affine: { readonly scale: Float64Array; readonly shift: Float64Array },
  raw: RawScale,
  dataType: RawType,
): Promise<{ readonly value: number } | string> {
  const { node, weight, layout } = linear;
  const { rows, columns, inner, inChannels } = layout;
  const isColumns = columns === inChannels && layout.inChannel(rows - 1, 0) === 0;
  if (!linear.kernel || !isColumns) return `${node.label} has groups, so it takes no more channels`;
  const original = await weight.floats();
  const scaled = await (await scaleWeight(weight, layout, 'in', affine.scale)).floats();
  const shifts = new Float64Array(rows * inner);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const start = (row * columns + column) * inner;
      for (let tap = 0; tap < inner; tap++) {
        const at = row * inner + tap;
        shifts[at] = shifts[at]! + original[start + tap]! * affine.shift[column]!;
      }
    }
  }
  const steps = constantSteps(scaled, shifts, rows, raw, dataType);
  const real = raw.scale * steps;
  const widened = new Float32Array(rows * (columns + 1) * inner);
  const width = columns * inner;
  for (let row = 0; row < rows; row++) {
    const start = row * (width + inner);
    widened.set(scaled.subarray(row * width, (row + 1) * width), start);
    for (let tap = 0; tap < inner; tap++) {
      widened[start + width + tap] = shifts[row * inner + tap]! / real;
    }
  }
  const dims = weight.dims.map((dim, axis) => (axis === 1 ? columns + 1 : dim));
  setConstantInput(node, linear.weightIndex, Tensor.of('float', dims, widened));
  appendChannel(value, weight.dims.length, raw.zeroPoint + steps, dataType);
  return { value: raw.zeroPoint + steps };
}

/**
 * Distance of the constant from the zero point, in raw steps: as small as keeps the new weights
 * within the range of the others, whose integer scale they will share. Then rounding them costs
 * least, since their error is multiplied by the constant.
 */
function constantSteps(
  scaled: Float32Array,
  shifts: Float64Array,
  rows: number,
  { scale, zeroPoint }: RawScale,
  dataType: RawType,
): number {
  const peak = (list: ArrayLike<number>, row: number) => {
    const length = list.length / rows;
    let most = 0;
    for (let at = row * length; at < (row + 1) * length; at++) {
      most = Math.max(most, Math.abs(list[at]!));
    }
    return most;
  };
  let needed = 1;
  for (let row = 0; row < rows; row++) {
    const room = peak(scaled, row);
    if (room > 0) needed = Math.max(needed, Math.ceil(peak(shifts, row) / scale / room));
  }
  const [low, high] = rawRange(dataType);
  const above = high - zeroPoint;
  return needed <= above || above >= zeroPoint - low
    ? Math.min(needed, above)
    : -Math.min(needed, zeroPoint - low);
}

/** Pads the integers behind `value` by one channel, before they are dequantized. */
function appendChannel(value: Value, rank: number, constant: number, dataType: RawType): void {
  const { graph } = value;
  const dequantize = value.producer!;
  const raw = dequantize.input(0);
  const ends = Array.from({ length: 2 * rank }, (_, i) => (i === rank + 1 ? 1 : 0));
  const dims = raw.dims?.map((dim, axis) =>
    axis === 1 ? (typeof dim === 'number' ? dim + 1 : undefined) : dim,
  );
  const pad = graph.addNode(
    {
      opType: 'Pad',
      name: graph.freshNodeName(`${value.name}_constant_channel`),
      inputs: [
        raw,
        graph.addInitializer(`${value.name}_pads`, Tensor.of('int64', [ends.length], ends)),
        graph.addInitializer(`${value.name}_constant`, Tensor.scalar(dataType, constant)),
      ],
      attributes: { mode: 'constant' },
    },
    { before: dequantize },
  );
  pad.output().type = tensorType(dataType, dims);
  dequantize.setInput(0, pad.output());
  value.type = tensorType('float', dims);
}

/** Mul and Add behind `value`, in float, for what no layer can take. Returns the new value. */
export function applyInFloat(value: Value, raw: RawScale, channelAxis: number | null): Value {
  const { graph } = value;
  const uses = value.uses;
  const rank = value.dims?.length ?? 1;
  const shape = Array.from({ length: rank }, (_, axis) =>
    axis === channelAxis ? raw.factor.length : 1,
  );
  let current = value;
  for (const [opType, list, neutral] of [
    ['Mul', raw.factor, 1],
    ['Add', raw.shift, 0],
  ] as const) {
    if (list.every((each) => each === neutral)) continue;
    const dims = list.length === 1 ? [] : shape;
    const constant = graph.addInitializer(
      `${value.name}_${opType.toLowerCase()}`,
      Tensor.of('float', dims, list),
    );
    const node = graph.addNode(
      {
        opType,
        name: graph.freshNodeName(`${value.name}_${opType}`),
        inputs: [current, constant],
      },
      { after: current.producer! },
    );
    node.output().type = tensorType('float', value.dims);
    current = node.output();
  }
  for (const { node, index } of uses) node.setInput(index, current);
  return current;
}

/** Axis i of the result is axis `perm[i]`; a Transpose of the integers moves a quarter of the bytes. */
export function transposeRaw(raw: Value, perm: readonly number[], first: Node | undefined): Value {
  const { graph } = raw;
  const node = graph.addNode(
    {
      opType: 'Transpose',
      name: graph.freshNodeName(`${raw.name}_Transpose`),
      inputs: [raw],
      attributes: { perm: intsAttribute(perm) },
    },
    first && { before: first },
  );
  node.output().type = tensorType(
    raw.dataType,
    perm.map((axis) => raw.dims?.[axis]),
  );
  return node.output();
}
