/**
 * Weights stored as float16 with a Cast behind them, which every runtime folds at load: half the
 * file, the speed and memory of float32. Works on every operator, since types do not change.
 */
import type { Model } from '../../graph/model.js';
import type { Value } from '../../graph/value.js';
import { dataTypes } from '../../onnx/data-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { ReportBuilder } from '../../pass.js';
import { nodeMatcher } from '../../pattern.js';
import { type Float16Options, rangeProblem } from './options.js';

export async function storeHalf(model: Model, options: Float16Options): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const included = nodeMatcher(options.include);
  const excluded = nodeMatcher(options.exclude);
  for (const graph of model.allGraphs()) {
    for (const value of graph.initializers) {
      const tensor = value.initializer;
      const user = value.uses[0]?.node;
      if (tensor?.dataType !== 'float' || !user) continue;
      const refuse = (reason: string) => report.skip(user, `${value.name}: ${reason}`);
      if (value.isInput) refuse('it is also a graph input, so callers may replace it');
      else if (value.isOutput) refuse('it is a graph output');
      else if (tensor.size < options.minElements) {
        refuse(`${tensor.size} elements, fewer than minElements ${options.minElements}`);
      } else if (value.uses.some(({ node }) => excluded(node))) refuse('excluded by the caller');
      else if (options.include.length > 0 && !value.uses.some(({ node }) => included(node))) {
        refuse('not included');
      } else {
        const floats = await tensor.floats();
        const problem = rangeProblem(floats);
        if (problem) refuse(problem);
        else {
          castAtLoad(value, floats, tensor.dims);
          report.change(user, `${value.name} [${tensor.dims.join(',')}] stored as float16`);
        }
      }
    }
  }
  return report;
}

/** The initializer becomes float16 under a new name; a Cast makes the value that nodes use. */
function castAtLoad(value: Value, floats: Float32Array, dims: readonly number[]): void {
  const { graph } = value;
  const half = graph.addInitializer(`${value.name}_half`, Tensor.of('float16', dims, floats));
  const users = value.uses;
  const first = graph.nodes.first;
  const cast = graph.addNode(
    {
      opType: 'Cast',
      name: graph.freshNodeName(`${value.name}_Cast`),
      inputs: [half],
      attributes: { to: dataTypes.float.code },
    },
    first && { before: first },
  );
  for (const { node, index } of users) node.setInput(index, cast.output());
  value.initializer = undefined;
  graph.removeValue(value);
}
