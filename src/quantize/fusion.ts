/**
 * Whether nodes that were quantized really run on integers: the graph that the runtime makes of
 * the model is read back, and every node that stayed float is named with what kept it there.
 * Looks only; changes nothing.
 *
 * Nodes are found again by a name that they are given for the occasion, which the runtime keeps
 * (also inside longer names, such as that of a Gemm made of MatMul and Add), or else by the names
 * of their outputs and of the quantized values behind. Whether they run on integers is told by the
 * types of what they take, so no list of kernels has to be kept up to date.
 */
import type { Engine } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { inferShapes } from '../engine/shapes.js';
import { throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { loadModel } from '../load.js';
import { bytesSource } from '../onnx/byte-source.js';
import { dataTypes } from '../onnx/data-type.js';
import { floatReason } from './fusion/float-reason.js';

/** A node and what is the matter with it. */
export interface FusionFinding {
  /** Label of the node in the model given. */
  readonly node: string;
  /** Operator with its domain. */
  readonly op: string;
  /** A phrase such as 'runs as float Conv: no QuantizeLinear takes its output'. */
  readonly reason: string;
}

/** Plain JSON. */
export interface FusionReport {
  /** Labels of the nodes that run on integers, or that an integer kernel took in. */
  readonly fused: readonly string[];
  readonly unfused: readonly FusionFinding[];
  /** QuantizeLinear right behind DequantizeLinear: two scales meet, and a value is converted. */
  readonly requantized: readonly FusionFinding[];
  /** How often each operator occurs in the runtime's graph, with its domain. */
  readonly operators: Readonly<Record<string, number>>;
}

/**
 * Reads back what the runtime makes of `nodes` of a quantized model at its level `extended`, where
 * integer kernels come in.
 *
 * @param nodes of the model's main graph that are meant to run on integers
 * @throws PareError `unsupported` where the engine cannot write its graph (WASM), `engine` when
 *   the model does not load
 *
 * @example
 * const { unfused } = await checkFusion(engine, model, plan.nodes);
 * unfused[0]; // { node: 'fc', op: 'Gemm', reason: 'runs as float Gemm: its input "fc.bias" is float' }
 */
export async function checkFusion(
  engine: Engine,
  model: Model,
  nodes: Iterable<Node>,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<FusionReport> {
  const { copy, labels } = withMarks(model);
  const source = await modelSource(copy);
  const bytes = await engine.optimized(source, { optimization: 'extended', ...options });
  throwIfAborted(options.signal);
  const runtime = await loadModel(bytesSource(bytes, 'optimized graph'));
  await inferShapes(engine, runtime, options);
  const finder = new Finder(runtime);
  const label = (node: Node) => labels.get(markIn(node.name) ?? '') ?? node.label;
  const fused: string[] = [];
  const unfused: FusionFinding[] = [];
  const marks = new Map([...model.graph.nodes].map((node, at) => [node, markOf(at)]));
  for (const node of nodes) {
    const mark = marks.get(node);
    // A node that dead code removal took out after it was planned runs on nothing.
    if (mark === undefined) continue;
    const found = finder.find(node, mark);
    if (!found || runsOnIntegers(found)) fused.push(node.label);
    else {
      const reason = floatReason(found, isQuantizedType);
      unfused.push({ node: node.label, op: node.op, reason });
    }
  }
  return {
    fused,
    unfused,
    requantized: findRequantized(runtime, label),
    operators: countOperators(runtime),
  };
}

/** A copy whose nodes have marks for names, and their labels by mark. */
function withMarks(model: Model): { copy: Model; labels: Map<string, string> } {
  const copy = cloneModel(model);
  const labels = new Map<string, string>();
  for (const [at, node] of [...copy.graph.nodes].entries()) {
    labels.set(markOf(at), node.label);
    node.name = markOf(at);
  }
  return { copy, labels };
}

/** Closed on both sides, so that no mark is part of another. */
const markOf = (at: number) => `pare#${at}#`;
const markIn = (name: string) => /pare#\d+#/.exec(name)?.[0];

/** Finds in the runtime's graph what became of a node. */
class Finder {
  readonly #byMark = new Map<string, Node>();
  readonly #values = new Map<string, Value>();

  constructor(runtime: Model) {
    for (const node of runtime.graph.nodes) {
      const mark = markIn(node.name);
      if (mark && !this.#byMark.has(mark)) this.#byMark.set(mark, node);
      for (const output of node.outputs) if (output) this.#values.set(output.name, output);
    }
  }

  /** Undefined when neither the node nor any of its results is there: it was not needed. */
  find(node: Node, mark: string): Node | undefined {
    const marked = this.#byMark.get(mark);
    if (marked) return marked;
    for (const output of node.outputs) {
      if (!output) continue;
      const made = this.#values.get(output.name)?.producer;
      if (made) return made;
      for (const user of output.users) {
        const producer = this.#values.get(user.outputs[0]?.name ?? '')?.producer;
        if (producer && isQuantize(user)) {
          // Where the QuantizeLinear is still there, the node is what feeds it.
          return isQuantize(producer) ? producer.inputs[0]?.producer : producer;
        }
      }
    }
    return undefined;
  }
}

/** Takes integers of a quantized tensor, and no computed float beside them. */
function runsOnIntegers(node: Node): boolean {
  const computed = node.inputs.filter((input) => input && !input.isConstant);
  return (
    computed.some((input) => isQuantizedType(input!)) &&
    !computed.some((input) => input!.dataType && dataTypes[input!.dataType].kind === 'float')
  );
}

/** 4 to 16 bits: shapes and indices have more. */
function isQuantizedType({ dataType }: Value): boolean {
  if (!dataType) return false;
  const { kind, bits } = dataTypes[dataType];
  return (kind === 'signed' || kind === 'unsigned') && bits <= 16;
}

function isQuantize(node: Node): boolean {
  return node.opType === 'QuantizeLinear';
}

function findRequantized(runtime: Model, label: (node: Node) => string): FusionFinding[] {
  const findings: FusionFinding[] = [];
  for (const node of runtime.graph.nodes) {
    const before = node.inputs[0]?.producer;
    if (!isQuantize(node) || before?.opType !== 'DequantizeLinear') continue;
    const reason = `converts the integers of "${before.input(0).name}" from one scale to another`;
    findings.push({ node: label(node), op: node.op, reason });
  }
  return findings;
}

function countOperators(runtime: Model): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of runtime.graph.allNodes()) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}
