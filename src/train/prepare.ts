/**
 * Brings a model into the form that differentiation expects: an opset that the rules write for,
 * constants as initializers in memory, types of every value, and operators on the way that are
 * differentiated through others written out in those. Changes no result.
 */
import type { Engine } from '../engine/engine.js';
import { inferShapes } from '../engine/shapes.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { raiseOpset } from '../graph/opset/upgrade.js';
import type { Value } from '../graph/value.js';
import { Tensor } from '../onnx/tensor.js';
import type { Expansion } from '../ops/gradient/rule.js';
import { passContext } from '../pass.js';
import { constantsToInitializers } from '../simplify/constants-to-initializers.js';

/**
 * The lowest opset whose operators the rules emit: reductions take their axes as an input, and
 * ScatterND and ScatterElements add.
 */
const minimumOpset = 18;

/** Constants up to here are read at once: rules look at axes, pads, bounds and scales. */
const pinnedBytes = 4096;

export interface PrepareOptions {
  /** Numbers for symbolic dims of the inputs. The model is then for these sizes only. */
  readonly dims?: Readonly<Record<string, number>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Raises the opset and moves constants. Throws `unsupported` where an operator cannot be raised. */
export async function prepare(model: Model, engine: Engine, options: PrepareOptions = {}) {
  const { graph } = model;
  if ((graph.opset() ?? 0) < minimumOpset) {
    await raiseOpset(model, minimumOpset, { engine, signal: options.signal });
  }
  if (!model.opsets.has('')) model.opsets.set('', minimumOpset);
  await constantsToInitializers.run(model, {}, passContext({ engine }));
  for (const [symbol, number] of Object.entries(options.dims ?? {})) fixDim(model, symbol, number);
  for (const value of graph.initializers) await pin(value);
}

/** Writes the number for the symbol into the types of the inputs and outputs. */
function fixDim({ graph }: Model, symbol: string, number: number): void {
  for (const value of [...graph.inputs, ...graph.outputs]) {
    const { type } = value;
    if (type?.kind !== 'tensor' || !type.dims) continue;
    value.type = { ...type, dims: type.dims.map((dim) => (dim === symbol ? number : dim)) };
  }
}

async function pin(value: Value): Promise<void> {
  const tensor = value.initializer;
  if (tensor?.content.kind !== 'range' || tensor.byteLength > pinnedBytes) return;
  value.initializer = Tensor.raw(tensor.dataType, tensor.dims, await tensor.bytes());
}

/** Types of all values, from the runtime; what the file says stays where it cannot tell. */
export async function typeValues(model: Model, engine: Engine, signal?: AbortSignal) {
  await inferShapes(engine, model, { signal });
}

/** Puts what an expansion writes in the place of a node; its outputs keep their names. */
export function expandNode(node: Node, expand: Expansion): void {
  const graph = node.graph!;
  const type = node.outputs.find((output) => output)?.dataType ?? 'float';
  const emitter = new Emitter(graph, { scope: node.label, type, position: { before: node } });
  const results = expand(emitter, node);
  const outputs = node.takeOutputs();
  graph.removeNode(node);
  outputs.forEach((output, index) => {
    if (!output) return;
    const result = results[index];
    if (result) becomeOutput(result, output);
    else if (output.isUnused) graph.removeValue(output);
  });
}

/** Lets the node that makes `result` make `output` instead. */
function becomeOutput(result: Value, output: Value): void {
  const producer = result.producer;
  const isFree = producer !== undefined && !result.isOutput;
  if (!isFree) {
    const after = producer ?? output.graph.nodes.last;
    const first = [...output.users][0];
    const position = producer ? { after: producer } : first ? { before: first } : undefined;
    output.graph.addNode(
      { opType: 'Identity', inputs: [result], outputs: [output] },
      after ? position : undefined,
    );
    return;
  }
  const index = result.outputIndex;
  result.replaceUses(output);
  producer.setOutput(index, output);
  output.graph.removeValue(result);
}
