/**
 * Computing in float16: weights and activations become float16, inputs and outputs of the model
 * stay float32. A node stays float32, with casts around it, where its operator has no float16
 * form, where a weight or a value that was seen does not fit, or where the caller says so.
 */
import { inferShapes } from '../../engine/shapes.js';
import { PareError, throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { dataTypes } from '../../onnx/data-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { halfSupport } from '../../ops/half.js';
import { type PassContext, ReportBuilder, requireEngine } from '../../pass.js';
import { nodeChooser } from '../../pattern.js';
import { dropWeightInputs } from '../../simplify/drop-weight-inputs.js';
import { floatRanges } from './float-ranges.js';
import { integerNeighbors } from './integer-neighbors.js';
import { type Float16Options, rangeProblem } from './options.js';

export async function computeHalf(
  model: Model,
  options: Float16Options,
  context: PassContext,
): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  report.notes.push(...(await dropWeightInputs.run(model, {}, context)).notes);
  const leaveOut = nodeChooser(model, options);
  const engine = requireEngine(context, 'float16');
  const typesInFile = new Map([...model.graph.values].map((value) => [value, value.type]));
  const unknown = await inferShapes(engine, model);
  const untyped = new Set(unknown.map(({ name }) => name));
  const { magnitudes, note } = await floatRanges(model, engine, context);
  if (note) report.note(note);
  const converter = new HalfConverter();
  const quantized = integerNeighbors(model.graph);
  const half: Node[] = [];
  for (const node of model.graph.nodes) {
    throwIfAborted(context.signal);
    if (!touchesFloat(node)) continue;
    const reason =
      leaveOut(node) ??
      quantized.get(node) ??
      (await operatorProblem(node, untyped)) ??
      overflow(node, magnitudes, options);
    if (reason) report.skip(node, reason);
    else half.push(node);
  }
  for (const node of half) {
    await converter.convert(node);
    report.change(node, 'computes in float16');
  }
  converter.finish(model);
  // Inferred types served the choice; in the file they would only take room.
  for (const [value, type] of typesInFile) {
    const isKept = type !== undefined || value.isInput || value.isOutput;
    if (!isKept && value.graph === model.graph) value.type = undefined;
  }
  return report;
}

/** Whether the node has float32 values that could be float16. */
function touchesFloat(node: Node): boolean {
  const fixed = halfSupport[node.op]?.floatInputs ?? [];
  const inputs = node.inputs.filter((_, index) => !fixed.includes(index));
  return [...inputs, ...node.outputs].some((value) => value?.dataType === 'float');
}

async function operatorProblem(
  node: Node,
  untyped: ReadonlySet<string>,
): Promise<string | undefined> {
  const support = halfSupport[node.op];
  if (node.subgraphs.length > 0) return 'its subgraphs stay float32';
  if (!support) return `no float16 form of ${node.op} is known`;
  const { tensorAttribute } = support;
  if (tensorAttribute && !node.tensorAttribute(tensorAttribute)) {
    return `its ${tensorAttribute} is not given as a tensor`;
  }
  if ([...node.inputs, ...node.outputs].some((value) => value?.dataType === 'float16')) {
    return 'it is a border between float16 and float32 already';
  }
  const unknown = [...node.inputs, ...node.outputs].find(
    (value) => value && untyped.has(value.name),
  );
  if (unknown) return `the type of its value "${unknown.name}" is not known`;
  const constants = node.inputs.map((value) => value?.initializer);
  if (tensorAttribute) constants.push(node.tensorAttribute(tensorAttribute));
  for (const tensor of constants) {
    const problem = tensor?.dataType === 'float' && rangeProblem(await tensor.floats());
    if (problem) return problem;
  }
  return undefined;
}

function overflow(
  node: Node,
  magnitudes: ReadonlyMap<string, number>,
  { maxMagnitude }: Float16Options,
): string | undefined {
  for (const value of [...node.inputs, ...node.outputs]) {
    const magnitude = value && magnitudes.get(value.name);
    if (magnitude !== undefined && !(magnitude <= maxMagnitude)) {
      return `"${value!.name}" reaches ${magnitude.toExponential(2)}, the limit is ${maxMagnitude}`;
    }
  }
  return undefined;
}

/** Changes nodes one by one and remembers which values are float16 by now. */
class HalfConverter {
  /** Float values in their float16 form: cast once, used by all. */
  readonly #halves = new Map<Value, Value>();
  readonly #converted = new Set<Node>();
  /** Values that were float and are float16 now. */
  readonly #changed = new Set<Value>();

  async convert(node: Node): Promise<void> {
    const { floatInputs = [], typeAttribute, tensorAttribute } = halfSupport[node.op]!;
    this.#converted.add(node);
    for (const [index, value] of node.inputs.entries()) {
      if (value?.dataType !== 'float' || floatInputs.includes(index)) continue;
      node.setInput(index, await this.#half(value, node));
    }
    const floats = node.outputs.filter((value) => value?.dataType === 'float');
    for (const value of floats) {
      value!.type = tensorType('float16', value!.dims);
      this.#changed.add(value!);
    }
    if (floats.length === 0) return;
    if (typeAttribute) node.setAttribute(typeAttribute, dataTypes.float16.code);
    const tensor = tensorAttribute && node.tensorAttribute(tensorAttribute);
    if (tensor) {
      const half = Tensor.of('float16', tensor.dims, await tensor.floats());
      node.setAttribute(tensorAttribute, half);
    }
  }

  /** Casts back to float32 for the nodes and outputs that want it, and drops unused originals. */
  finish(model: Model): void {
    const { graph } = model;
    for (const value of this.#changed) {
      const users = value.uses.filter(({ node, index }) => this.#wantsFloat(node, index));
      const isOutput = value.isOutput;
      if (users.length === 0 && !isOutput) continue;
      const cast = graph.addNode(
        {
          opType: 'Cast',
          name: graph.freshNodeName(`${value.name}_Cast`),
          inputs: [value],
          attributes: { to: dataTypes.float.code },
        },
        { after: value.producer! },
      );
      const float = cast.output();
      float.type = tensorType('float', value.dims);
      for (const { node, index } of users) node.setInput(index, float);
      if (isOutput && !graph.replaceOutput(value, float)) {
        throw new PareError('invalid-model', `float16: a subgraph has a "${value.name}" as well`, {
          hint: 'names of graph outputs must not occur again; exclude the node that makes it',
        });
      }
    }
    for (const value of graph.initializers) {
      if (value.isUnused && !value.isInput) graph.removeValue(value);
    }
  }

  /** Nodes that stayed float32, and inputs that the specification keeps float32. */
  #wantsFloat(node: Node, index: number): boolean {
    return (
      !this.#converted.has(node) || halfSupport[node.op]!.floatInputs?.includes(index) === true
    );
  }

  async #half(value: Value, node: Node): Promise<Value> {
    if (this.#changed.has(value)) return value;
    const known = this.#halves.get(value);
    if (known) return known;
    const half = value.isConstant ? await halfInitializer(value) : castToHalf(value, node);
    half.type = tensorType('float16', value.dims);
    this.#halves.set(value, half);
    return half;
  }
}

async function halfInitializer(value: Value): Promise<Value> {
  const tensor = value.initializer!;
  const floats = await tensor.floats();
  return value.graph.addInitializer(
    `${value.name}_half`,
    Tensor.of('float16', tensor.dims, floats),
  );
}

function castToHalf(value: Value, node: Node): Value {
  const graph = node.graph!;
  const { producer } = value;
  const first = graph.nodes.first!;
  return graph
    .addNode(
      {
        opType: 'Cast',
        name: graph.freshNodeName(`${value.name}_Cast`),
        inputs: [value],
        attributes: { to: dataTypes.float16.code },
      },
      producer ? { after: producer } : { before: first },
    )
    .output();
}
