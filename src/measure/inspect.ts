/**
 * What a model is, in one document: interface, operators, bytes, state of quantization, and what
 * pare could do to it. Does not change the model; the numbers of its weights are read only to try
 * the schemes and to check them.
 */
import type { Engine } from '../engine/engine.js';
import { messageOf, PareError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import { typeText } from '../graph/type-text.js';
import type { Value } from '../graph/value.js';
import { type ConstantRole, constantRoles, parameterRoles } from '../ops/input-roles.js';
import { type QuantizedForm, quantizedForm, quantizedForms } from '../ops/quantized-form.js';
import { type NextStep, nextSteps } from '../optimize/next-steps.js';
import {
  type SchemeOutlook,
  type SimplifyOutlook,
  schemeOutlooks,
  simplifyOutlook,
} from '../optimize/outlook.js';
import { type PruneOutlook, pruneOutlook } from '../optimize/prune-outlook.js';
import { type TrainOutlook, trainOutlook } from '../optimize/train-outlook.js';
import { type CheckReport, checkModel } from './check.js';
import { type ConcreteTypes, concreteTypes, type DimOptions } from './concrete-types.js';
import { countMacs, type MacsReport } from './macs.js';
import {
  type NodeRow,
  nodeRows,
  type OperatorRow,
  operatorRows,
  placeOf,
  type TensorRow,
  tensorRows,
} from './operator-rows.js';
import { constantsOf, mainUse, type SizeShare } from './size.js';
import { type SketchItem, sketchOf } from './sketch.js';

export interface InspectOptions {
  /** Finds shapes, and so MACs; without one they are null. */
  readonly engine?: Engine | undefined;
  /** Sizes of open dims of the inputs. */
  readonly dims?: DimOptions['dims'];
  /** How the report calls the file; default as the model says. */
  readonly file?: string | undefined;
  /** Bytes of the files on disk, for a caller that knows them. */
  readonly fileBytes?: number | undefined;
  /** Also list every node, every constant. Default false. */
  readonly nodes?: boolean | undefined;
  readonly tensors?: boolean | undefined;
  /** Also look for what is broken or wasteful: reads every weight. Default false. */
  readonly check?: boolean | undefined;
  /** Try the schemes on a copy up to this many bytes of constants. Default 200 MB; 0 never. */
  readonly tryBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Plain JSON. */
export interface Inspection {
  readonly file: string | null;
  readonly fileBytes: number | null;
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  /** Name and version of what made the file; null where it does not say. */
  readonly producer: string | null;
  readonly description: string | null;
  /** Metadata without those of pare, and those of pare. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly provenance: Readonly<Record<string, string>>;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Of the main graph, its subgraphs and all functions. */
  readonly nodes: number;
  readonly parameters: number;
  readonly tensorBytes: number;
  readonly operators: readonly OperatorRow[];
  readonly byRole: Readonly<Record<ConstantRole, SizeShare>>;
  readonly byDataType: Readonly<Record<string, SizeShare>>;
  /** Null without an engine, or when the runtime cannot load the model (see the notes). */
  readonly macs: Omit<MacsReport, 'byOperator'> | null;
  readonly functions: readonly { readonly name: string; readonly nodes: number }[];
  readonly subgraphs: readonly { readonly owner: string; readonly nodes: number }[];
  readonly externalData: readonly {
    readonly location: string;
    readonly tensors: number;
    readonly bytes: number;
  }[];
  readonly quantization: QuantizationState;
  /** In order of execution, repeated blocks folded. */
  readonly sketch: readonly SketchItem[];
  /** Null where it was not tried. */
  readonly simplify: SimplifyOutlook | null;
  readonly schemes: readonly SchemeOutlook[] | null;
  /** Null without an engine, and where it was not tried. */
  readonly prune: PruneOutlook | null;
  readonly train: TrainOutlook | null;
  readonly next: readonly NextStep[];
  readonly notes: readonly string[];
  readonly check: CheckReport | null;
  readonly nodeList: readonly NodeRow[] | null;
  readonly tensorList: readonly TensorRow[] | null;
}

export interface Port {
  readonly name: string;
  /** As in the textual form: 'float[N,3,224,224]'. */
  readonly type: string;
  /** An input that has an initializer may be left out by callers. */
  readonly optional: boolean;
}

export interface QuantizationState {
  /** The forms that are there, the one that says most first; empty for a float model. */
  readonly forms: readonly QuantizedForm[];
  /** Nodes of each form. */
  readonly nodes: Readonly<Partial<Record<QuantizedForm, number>>>;
}

const defaultTryBytes = 200e6;

/**
 * Throws `io` where a weight that is needed cannot be read, `aborted` on the signal, `usage` for
 * dims that do not fit. A model that the runtime refuses is inspected all the same.
 *
 * @example
 * const { operators, quantization } = await inspectModel(model, { engine });
 */
export async function inspectModel(
  model: Model,
  options: InspectOptions = {},
): Promise<Inspection> {
  const { engine, signal, fileBytes } = options;
  const notes: string[] = [];
  const shapes = engine && (await shapesOf(model, engine, options, notes));
  const macs = shapes ? { ...countMacs(model, shapes.types), inputs: shapes.inputs } : null;
  const operators = operatorRows(model, macs);
  const constants = weighRoles(model);
  const tryBytes = options.tryBytes ?? defaultTryBytes;
  const isTried = constants.tensorBytes <= tryBytes;
  if (!isTried && tryBytes > 0) {
    notes.push(`schemes were not tried: the constants weigh more than ${tryBytes / 1e6} MB`);
  }
  const weighted = weightedOperators(model, constants.tensorBytes);
  const outlook = { engine: shapes && engine, weighted, signal };
  const facts: Omit<Inspection, 'next'> = {
    file: options.file ?? model.file ?? null,
    fileBytes: fileBytes ?? null,
    ...headOf(model),
    inputs: model.graph.inputs.map(portOf),
    outputs: model.graph.outputs.map(portOf),
    nodes: operators.reduce((sum, { nodes }) => sum + nodes, 0),
    ...constants,
    operators,
    macs: macs && withoutRows(macs),
    ...structureOf(model),
    quantization: quantizationOf(model),
    simplify: isTried ? await simplifyOutlook(model, outlook) : null,
    schemes: isTried ? await schemeOutlooks(model, outlook) : null,
    prune: isTried && shapes ? await pruneOutlook(model, engine!, signal) : null,
    train: isTried && shapes ? await trainOutlook(model, engine!, signal) : null,
    sketch: sketchOf(model),
    notes: [...notes, ...(shapes?.notes ?? []), ...(macs?.notes ?? [])],
    check: options.check ? await checkModel(model, { engine: shapes && engine, signal }) : null,
    nodeList: options.nodes ? nodeRows(model, shapes?.types) : null,
    tensorList: options.tensors ? tensorRows(model) : null,
  };
  return { ...facts, next: nextSteps(facts) };
}

async function shapesOf(
  model: Model,
  engine: Engine,
  { dims, signal }: InspectOptions,
  notes: string[],
): Promise<ConcreteTypes | undefined> {
  try {
    return await concreteTypes(engine, model, { dims, signal });
  } catch (error) {
    if (!(error instanceof PareError) || error.code !== 'engine') throw error;
    notes.push(`${engine.name} ${engine.version} does not load the model: ${messageOf(error)}`);
    return undefined;
  }
}

function withoutRows({ byOperator: _, notes: _notes, ...macs }: MacsReport) {
  // Its notes are among those of the inspection.
  return { ...macs, notes: [] };
}

function headOf(model: Model) {
  const { producerName, producerVersion, docString } = model.origin ?? {};
  const pairs = [...model.metadata];
  const isOurs = (key: string) => /^pare(\.|$)/.test(key);
  return {
    irVersion: model.irVersion,
    opsets: Object.fromEntries(model.opsets),
    producer: [producerName, producerVersion].filter(Boolean).join(' ') || null,
    description: docString || null,
    metadata: Object.fromEntries(pairs.filter(([key]) => !isOurs(key))),
    provenance: Object.fromEntries(pairs.filter(([key]) => isOurs(key))),
  };
}

function portOf(value: Value): Port {
  return {
    name: value.name,
    type: typeText(value.type),
    optional: value.isInput && value.initializer !== undefined,
  };
}

/** Sizes of constants, as sizeOf tells them, without encoding the model. */
function weighRoles(model: Model) {
  interface Sum {
    tensors: number;
    bytes: number;
    elements: number;
  }
  const byRole = Object.fromEntries(
    constantRoles.map((role) => [role, { tensors: 0, bytes: 0, elements: 0 }]),
  ) as Record<ConstantRole, Sum>;
  const byDataType = new Map<string, Sum>();
  let [tensorBytes, parameters] = [0, 0];
  for (const { value, tensor, bytes } of constantsOf(model)) {
    const { role, elements } = mainUse(value, tensor);
    tensorBytes += bytes;
    if (parameterRoles.has(role)) parameters += elements;
    const { dataType } = tensor;
    const sum = byDataType.get(dataType) ?? { tensors: 0, bytes: 0, elements: 0 };
    byDataType.set(dataType, sum);
    for (const each of [byRole[role], sum]) {
      each.tensors++;
      each.bytes += bytes;
      each.elements += elements;
    }
  }
  const sorted = [...byDataType].sort(([, a], [, b]) => b.bytes - a.bytes);
  return { tensorBytes, parameters, byRole, byDataType: Object.fromEntries(sorted) };
}

/** Less than this share of the bytes is not what quantization is after. */
const leastEmbedding = 0.01;

/** Operators that multiply with weights, or hold a good part of the bytes as tables. */
function weightedOperators(model: Model, tensorBytes: number): Set<string> {
  const weighted = new Set<string>();
  const tables = new Map<string, number>();
  for (const { value, tensor, bytes } of constantsOf(model)) {
    const { role, op } = mainUse(value, tensor);
    if (role === 'weight') weighted.add(op);
    if (role === 'embedding') tables.set(op, (tables.get(op) ?? 0) + bytes);
  }
  for (const [op, bytes] of tables) if (bytes >= leastEmbedding * tensorBytes) weighted.add(op);
  return weighted;
}

function structureOf(model: Model) {
  const count = (graph: Graph) => [...graph.allNodes()].length;
  const subgraphs: Inspection['subgraphs'][number][] = [];
  for (const graph of model.allGraphs()) {
    const first = graph.nodes.first;
    if (!graph.owner) continue;
    subgraphs.push({ owner: first ? placeOf(first)! : String(graph.owner), nodes: count(graph) });
  }
  const files = new Map<string, { location: string; tensors: number; bytes: number }>();
  for (const { tensor, bytes } of constantsOf(model)) {
    if (tensor.content.kind !== 'range') continue;
    const { location } = tensor.content;
    const file = files.get(location) ?? { location, tensors: 0, bytes: 0 };
    files.set(location, file);
    file.tensors++;
    file.bytes += bytes;
  }
  const functions = model.functions.map(({ domain, name, body }) => ({
    name: domain === '' ? name : `${domain}:${name}`,
    nodes: count(body),
  }));
  return { functions, subgraphs, externalData: [...files.values()] };
}

function quantizationOf(model: Model): QuantizationState {
  const nodes: Partial<Record<QuantizedForm, number>> = {};
  for (const node of model.allNodes()) {
    const form = quantizedForm(node);
    if (form) nodes[form] = (nodes[form] ?? 0) + 1;
  }
  return { forms: quantizedForms.filter((form) => nodes[form]), nodes };
}
