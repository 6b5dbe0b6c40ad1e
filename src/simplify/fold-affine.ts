/**
 * Folds Mul, Div, Add and Sub by a constant per channel into the linear operator before them, and
 * into a convolution after them. Before MatMul and Gemm they stay: there they are most often the
 * last step of a normalization, which runtimes recognize as a whole and run as one kernel.
 */
import * as z from 'zod/mini';
import type { Node } from '../graph/node.js';
import type { Tensor } from '../onnx/tensor.js';
import { definePass, ReportBuilder } from '../pass.js';
import { type Affine, channelVector } from './affine.js';
import { isAnnotationPart, replaceValue, whyNotReplace } from './edit.js';
import { knownDims } from './known.js';
import {
  type ChannelPlace,
  type Linear,
  linearBefore,
  linearOf,
  planAfter,
  planBefore,
  whyNotBefore,
  whyNotChange,
} from './linear.js';

export const foldAffine = definePass({
  name: 'fold-affine',
  summary: 'Folds Mul, Div, Add and Sub by constants per channel into linear operators.',
  options: z.object({}),
  async run(model) {
    const report = new ReportBuilder();
    for (const graph of [...model.allGraphs()]) {
      for (const node of graph.nodes) {
        const map = readMap(node);
        if (!map) continue;
        const into = (await foldAfter(node, map)) ?? (await foldBefore(node, map));
        if (into) report.change(node, `folded into ${into}`);
      }
    }
    return report;
  },
});

/** An arithmetic node with one constant input. */
interface ArithmeticMap {
  readonly dataIndex: number;
  readonly constant: Tensor;
  /** The map by a constant per channel. */
  affine(constants: Float64Array): Affine;
}

const maps: Readonly<
  Record<string, (constantIndex: number) => ((c: Float64Array) => Affine) | undefined>
> = {
  Mul: () => (c) => ({ scale: c, shift: c.map(() => 0) }),
  Add: () => (c) => ({ scale: c.map(() => 1), shift: c }),
  Div: (at) =>
    at === 1 ? (c) => ({ scale: c.map((n) => 1 / n), shift: c.map(() => 0) }) : undefined,
  Sub: (at) =>
    at === 1
      ? (c) => ({ scale: c.map(() => 1), shift: c.map((n) => -n) })
      : (c) => ({ scale: c.map(() => -1), shift: c }),
};

function readMap(node: Node): ArithmeticMap | undefined {
  // Before opset 7 attributes chose the broadcasting.
  if (!Object.hasOwn(maps, node.op) || node.has('axis') || node.has('broadcast')) return undefined;
  const at = node.constantInput(1) ? 1 : 0;
  const constant = node.constantInput(at);
  const affine = maps[node.op]!(at);
  if (!constant || !affine || node.constantInput(1 - at)) return undefined;
  return { dataIndex: 1 - at, constant, affine };
}

/** The label of the node that took it, undefined when none can. */
async function foldAfter(node: Node, map: ArithmeticMap): Promise<string | undefined> {
  const input = node.input(map.dataIndex);
  const linear = linearBefore(input);
  if ('reason' in linear || !input.onlyUse || isAnnotationPart(input)) return undefined;
  if (whyNotChange(linear, 0) || whyNotReplace(node.output(), input)) return undefined;
  const affine = await channelsOf(map, linear, linear.output, linear.layout.outChannels);
  const apply = affine && (await planAfter(linear, affine));
  if (!apply) return undefined;
  apply();
  replaceValue(node.output(), input);
  node.graph!.removeNode(node);
  return linear.node.label;
}

async function foldBefore(node: Node, map: ArithmeticMap): Promise<string | undefined> {
  const output = node.output();
  const use = output.onlyUse;
  const linear = use && linearOf(use.node);
  if (!linear || 'reason' in linear || use.index !== linear.dataIndex) return undefined;
  if (!linear.kernel || whyNotChange(linear, 0) || isAnnotationPart(output)) return undefined;
  const input = node.input(map.dataIndex);
  if (whyNotReplace(output, input)) return undefined;
  const { inChannels } = linear.layout;
  // Otherwise the constant would spread one channel over several.
  if (map.constant.size !== 1 && knownDims(input)?.[1] !== inChannels) return undefined;
  const affine = await channelsOf(map, linear, linear.input, inChannels);
  if (!affine || whyNotBefore(linear, affine)) return undefined;
  const apply = await planBefore(linear, affine);
  if (!apply) return undefined;
  apply();
  replaceValue(output, input);
  node.graph!.removeNode(node);
  return linear.node.label;
}

async function channelsOf(
  map: ArithmeticMap,
  linear: Linear,
  place: ChannelPlace,
  count: number,
): Promise<Affine | undefined> {
  if (map.constant.dataType !== linear.weight.dataType) return undefined;
  const constants = await channelVector(map.constant, { ...place, count });
  const affine = constants && map.affine(constants);
  return affine?.scale.every(Number.isFinite) ? affine : undefined;
}
