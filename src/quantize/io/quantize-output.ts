/**
 * Lets a model give integers: value = (q - zero point) * scale, with both in the metadata under
 * `pare.output`. A DequantizeLinear at the end goes away; elsewhere a QuantizeLinear is put behind
 * the output, with the range that samples show.
 */
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import { raiseOpset } from '../../graph/opset/upgrade.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { definePass, type PassContext, ReportBuilder, requireEngine } from '../../pass.js';
import { collectStatistics } from '../calibrate/collect.js';
import { parametersOf, type QuantizationParameters } from '../static/parameters.js';
import { plainDims, samplesFor } from './input-spec.js';
import { quantizeOutputOptions } from './options.js';
import type { RawType } from './raw-scale.js';

export const outputKey = 'pare.output';

/** Plain JSON: what a caller must know to read one output. value = (q - zeroPoint) * scale. */
export interface OutputSpec {
  readonly name: string;
  readonly dataType: RawType;
  readonly dims: readonly (number | string | null)[];
  readonly scale: number;
  readonly zeroPoint: number;
}

/** The outputs of the model that are integers for floats; none where no pass made any. */
export function readOutputSpecs(model: Model): readonly OutputSpec[] {
  const text = model.metadata.get(outputKey);
  return text === undefined ? [] : (JSON.parse(text) as OutputSpec[]);
}

/** @example await applyPass(model, quantizeOutput, {}, { engine, samples }) */
export const quantizeOutput = definePass({
  name: 'quantize-output',
  summary: 'Gives uint8 or int8 outputs, with scale and zero point in the metadata.',
  options: quantizeOutputOptions,
  async run(model, { outputs: names, dataType }, context) {
    const report = new ReportBuilder();
    const outputs = chooseOutputs(model, names);
    // The values that carry the names change, the names do not.
    const chosen = outputs.map(({ name }) => name);
    report.notes.push(...(await raiseOpset(model, 13, context)).notes);
    const specs = new Map(readOutputSpecs(model).map((spec) => [spec.name, spec]));
    const open: Value[] = [];
    for (const output of outputs) {
      const { name, dims } = output;
      const parameters = await dropDequantize(output, dataType, report);
      if (parameters) specs.set(name, { name, dims: plainDims(dims), ...parameters, dataType });
      else open.push(output);
    }
    const ranges = await rangesOf(model, open, context);
    for (const output of open) {
      const { name, dims } = output;
      const range = ranges.get(name) ?? { min: 0, max: 0 };
      const parameters = parametersOf(range, dataType, false);
      addQuantize(output, parameters, report);
      specs.set(name, { name, dims: plainDims(dims), ...parameters, dataType });
    }
    model.metadata.set(outputKey, JSON.stringify([...specs.values()]));
    for (const name of chosen) {
      const { scale, zeroPoint } = specs.get(name)!;
      const range = ranges.get(name);
      report.note(
        `read "${name}" as (q - ${zeroPoint}) * ${scale}; rounding keeps the order, so the largest is still among the largest, but values nearer than ${scale} may tie${range ? `, and so do those outside ${range.min} to ${range.max}, the range of the samples` : ''}`,
      );
    }
    return report;
  },
});

function chooseOutputs(model: Model, names: readonly string[]): Value[] {
  const { outputs } = model.graph;
  const floats = outputs.filter(({ dataType }) => dataType === 'float');
  const wrong = names.find((name) => !floats.some((output) => output.name === name));
  if (wrong === undefined && floats.length > 0) {
    return names.length === 0 ? floats : floats.filter(({ name }) => names.includes(name));
  }
  const all = outputs.map(({ name, dataType }) => `"${name}" ${dataType ?? 'of unknown type'}`);
  throw new PareError(
    'usage',
    wrong === undefined
      ? `quantize-output: no output is float32: ${all.join(', ')}`
      : `quantize-output: "${wrong}" is no float32 output of the model: ${all.join(', ')}`,
  );
}

/** The integers behind the DequantizeLinear that makes the output become the output. */
async function dropDequantize(
  output: Value,
  dataType: RawType,
  report: ReportBuilder,
): Promise<QuantizationParameters | undefined> {
  const node = output.producer;
  if (node?.op !== 'DequantizeLinear' || output.users.size > 0) return undefined;
  const quantized = node.input(0);
  const scale = node.constantInput(1);
  const zeroPoint = node.constantInput(2);
  if (scale?.size !== 1 || zeroPoint?.dataType !== dataType || zeroPoint.size !== 1) {
    return undefined;
  }
  const { dims } = output;
  if (!quantized.producer || !output.graph.replaceOutput(output, quantized)) return undefined;
  quantized.type = tensorType(dataType, dims);
  report.change(node, `removed: the output is its ${dataType} input`);
  output.graph.removeNode(node);
  return {
    dataType,
    scale: (await scale.numbers())[0]!,
    zeroPoint: (await zeroPoint.numbers())[0]!,
  };
}

async function rangesOf(model: Model, outputs: readonly Value[], context: PassContext) {
  if (outputs.length === 0) return new Map<string, { min: number; max: number }>();
  const { samples, signal, progress } = context;
  if (!samples) {
    throw new PareError(
      'usage',
      `quantize-output: the range of "${outputs[0]!.name}" is not known without samples`,
      { hint: 'give data with --data PATH; labels are not needed' },
    );
  }
  const names = outputs.map(({ name }) => name);
  const engine = requireEngine(context, 'quantize-output');
  const options = { histograms: false, signal, progress };
  return await collectStatistics(model, engine, names, samplesFor(model, samples), options);
}

/** The output keeps its name, what made it gets another. */
function addQuantize(
  output: Value,
  { dataType, scale, zeroPoint }: QuantizationParameters,
  report: ReportBuilder,
): void {
  const { graph, name, dims } = output;
  const quantize = graph.addNode({
    opType: 'QuantizeLinear',
    name: graph.freshNodeName(`${name}_QuantizeLinear`),
    inputs: [
      output,
      graph.addInitializer(`${name}_scale`, Tensor.scalar('float', scale)),
      graph.addInitializer(`${name}_zero_point`, Tensor.scalar(dataType, zeroPoint)),
    ],
  });
  const result = quantize.output();
  if (!graph.replaceOutput(output, result)) {
    throw new PareError(
      'unsupported',
      `quantize-output: the name "${name}" of the output is taken in a subgraph`,
    );
  }
  result.type = tensorType(dataType, dims);
  report.change(quantize, `${dataType}, scale ${scale}, zero point ${zeroPoint}`);
}
