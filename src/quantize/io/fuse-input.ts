/**
 * Takes out a DequantizeLinear and a QuantizeLinear behind it with the same parameters: the
 * integers go on as they are. Bit-exact, since q = round((q - z) * s / s) + z for 8-bit q: the two
 * float32 roundings move the quotient by far less than half a step. Pairs that differ in scale,
 * zero point or type stay.
 */
import * as z from 'zod/mini';
import { removeDead } from '../../graph/dead.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { dataTypes } from '../../onnx/data-type.js';
import { definePass, ReportBuilder } from '../../pass.js';

/** @example await applyPass(quantized, fuseInput, {}) // after static, on a model with a raw input */
export const fuseInput = definePass({
  name: 'fuse-input',
  summary: 'Feeds integers to integer kernels directly where they were dequantized in between.',
  options: z.object({}),
  run: async (model) => await fusePairs(model),
});

/** The same on this model itself; with `only`, for the users of that dequantized value. */
export async function fusePairs(model: Model, only?: Value): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  for (const quantize of only ? [...only.users] : [...model.graph.nodes]) {
    if (quantize.op !== 'QuantizeLinear') continue;
    const dequantize = quantize.input(0).producer;
    if (dequantize?.op !== 'DequantizeLinear') continue;
    const reason = await whyNotFuse(dequantize, quantize);
    if (reason) {
      report.skip(quantize, reason);
      continue;
    }
    const raw = dequantize.input(0);
    const output = quantize.output();
    if (output.isOutput && !output.graph.replaceOutput(output, raw)) {
      report.skip(quantize, 'it joins a graph input to a graph output');
      continue;
    }
    output.replaceUses(raw);
    report.change(quantize, `removed: ${dequantize.label} has the same scale and zero point`);
  }
  removeDead(model.graph);
  return report;
}

/** Why the pair is no identity, undefined when it is. */
async function whyNotFuse(dequantize: Node, quantize: Node): Promise<string | undefined> {
  const [from, to] = [await parametersOf(dequantize), await parametersOf(quantize)];
  if (!from || !to) return 'its scale or zero point is no constant scalar';
  if (from.dataType !== to.dataType) {
    return `it makes ${to.dataType} of ${from.dataType}, which is a conversion`;
  }
  if (dataTypes[from.dataType].bits !== 8) return `${from.dataType} pairs are left alone`;
  if (from.scale === to.scale && from.zeroPoint === to.zeroPoint) return undefined;
  return `scale ${to.scale} and zero point ${to.zeroPoint} are not those of ${dequantize.label}, ${from.scale} and ${from.zeroPoint}`;
}

async function parametersOf(node: Node) {
  const scale = node.constantInput(1);
  const zeroPoint = node.constantInput(2);
  if (!scale || !zeroPoint || scale.size !== 1 || zeroPoint.size !== 1) return undefined;
  return {
    dataType: zeroPoint.dataType,
    scale: (await scale.numbers())[0]!,
    zeroPoint: (await zeroPoint.numbers())[0]!,
  };
}
