/**
 * Types and shapes of every value, by the runtime's own inference: each value becomes an output of
 * a session that is never run, and the session tells what it knows of its outputs. So contrib
 * operators, functions and symbolic dims are covered, and no weights are loaded.
 *
 * Three things need a second look, in one more session: a scalar and a value of unknown rank read
 * alike (`Shape` of them does not), types that the runtime's JavaScript cannot name make a session
 * fail as a whole (halving finds them, a `Cast` tells their dims), and values inside subgraphs
 * cannot be outputs at all (reported as unknown).
 */
import { messageOf, throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import { modelToProto } from '../graph/to-proto.js';
import { tensorType, type ValueType } from '../graph/value-type.js';
import type { ModelMessage } from '../onnx/contents.js';
import { type DataType, dataTypeFromCode } from '../onnx/data-type.js';
import type { NodeProto } from '../onnx/schema/onnx_pb.js';
import type { Engine, Feeds, PortInfo, RunOptions } from './engine.js';
import { messageSource } from './model-source.js';
import { castTo, shapeModel, shapeOf, withOutputs } from './shape-model.js';

export interface UnknownValue {
  readonly name: string;
  readonly reason: string;
}

export interface InferredTypes {
  /**
   * By name, for the main graph: inputs, initializers, outputs of nodes. Dims are numbers, symbols
   * or undefined; dims as a whole are undefined where even the rank is not known.
   */
  readonly types: ReadonlyMap<string, ValueType>;
  /** Values without a type or a rank, those inside subgraphs among them. */
  readonly unknown: readonly UnknownValue[];
}

export interface InferOptions {
  /** Numbers for symbolic dims of the inputs, such as { batch: 1 }; dims that follow get numbers too. */
  readonly dims?: Readonly<Record<string, number>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Infers the types of all values of a model. The message is not changed.
 * Throws `engine` when the runtime cannot load the model: it is invalid, or an operator is unknown
 * or has no kernel for its types.
 */
export async function inferTypes(
  engine: Engine,
  message: ModelMessage,
  options: InferOptions = {},
): Promise<InferredTypes> {
  const { message: stripped, known, values, inner } = shapeModel(message, options.dims);
  const types = new Map(known);
  const unknown: UnknownValue[] = [];
  const found = await portsOf(engine, stripped, values, options);
  const second = await secondLook(engine, stripped, found, options);
  for (const name of values) {
    const port = found.get(name);
    const dataType = typeof port === 'string' ? port : port?.dataType;
    if (dataType === undefined) {
      unknown.push({ name, reason: 'the value is no tensor, or of a type that is not supported' });
      continue;
    }
    const isOpen = typeof port !== 'object' || port.dims?.length === 0;
    const dims = isOpen ? second.get(name) : port.dims?.map(toDim);
    types.set(name, tensorType(dataType, dims));
    if (dims === undefined) unknown.push({ name, reason: 'the runtime does not infer its rank' });
  }
  for (const { name, owner } of inner) {
    unknown.push({ name, reason: `it is inside a subgraph of "${owner}"` });
  }
  return { types, unknown };
}

/**
 * Infers the types of all values of a model in memory and writes them to the values of its main
 * graph, except for graph inputs. What stays unknown keeps the type that it had.
 * Throws like `inferTypes`.
 */
export async function inferShapes(
  engine: Engine,
  model: Model,
  options: InferOptions = {},
): Promise<readonly UnknownValue[]> {
  const { types, unknown } = await inferTypes(engine, modelToProto(model), options);
  const skipped = new Set(unknown.map(({ name }) => name));
  for (const value of model.graph.values) {
    const type = types.get(value.name);
    if (type !== undefined && !value.isInput && !skipped.has(value.name)) value.type = type;
  }
  return unknown;
}

/**
 * The concrete dims of these values (default: of all tensors of the main graph) in one run on a
 * sample. Only the dims leave the runtime, so memory is that of an ordinary run.
 * Throws `data-mismatch` for feeds that do not fit, `engine` when the model does not run.
 */
export async function probeShapes(
  engine: Engine,
  message: ModelMessage,
  feeds: Feeds,
  names?: Iterable<string>,
  options: RunOptions = {},
): Promise<Map<string, number[]>> {
  const wanted = [...(names ?? (await tensorNames(engine, message, options)))];
  if (wanted.length === 0) return new Map();
  const label = helperNames(message, 'dims');
  const nodes = wanted.map((name, i) => shapeOf(name, label(i)));
  const outputs = nodes.map(({ output }) => output[0]!);
  const source = await messageSource(withOutputs(message, outputs, nodes));
  const session = await engine.createSession(source, { optimization: 'disabled', ...options });
  try {
    const results = await session.run(feeds, undefined, options);
    return new Map(
      wanted.map((name, i) => [name, Array.from(results[label(i)]!.data as BigInt64Array, Number)]),
    );
  } finally {
    await session.release();
  }
}

async function tensorNames(engine: Engine, message: ModelMessage, options: RunOptions) {
  const { types } = await inferTypes(engine, message, options);
  return [...types].filter(([, type]) => type.kind === 'tensor').map(([name]) => name);
}

/** A port, or only the data type where the runtime's JavaScript has no name for it. */
type Found = PortInfo | DataType;

/** Makes these values outputs and reads the ports, in halves where some type cannot be named. */
async function portsOf(
  engine: Engine,
  stripped: ModelMessage,
  names: readonly string[],
  options: InferOptions,
): Promise<Map<string, Found>> {
  if (names.length === 0) return new Map();
  const unique = [...new Set(names)];
  try {
    const ports = await readOutputs(engine, withOutputs(stripped, unique), options);
    return new Map(ports.map((port) => [port.name, port]));
  } catch (error) {
    const code = /Unsupported data type: (\d+)/.exec(messageOf(error))?.[1];
    if (code === undefined) throw error;
    const dataType = dataTypeFromCode(Number(code));
    if (unique.length === 1) {
      return new Map(dataType === undefined ? [] : [[unique[0]!, dataType]]);
    }
    const half = Math.ceil(unique.length / 2);
    const first = await portsOf(engine, stripped, unique.slice(0, half), options);
    const second = await portsOf(engine, stripped, unique.slice(half), options);
    return new Map([...first, ...second]);
  }
}

/** Dims of the values whose port leaves them open: [] for a scalar, undefined for no known rank. */
async function secondLook(
  engine: Engine,
  stripped: ModelMessage,
  found: ReadonlyMap<string, Found>,
  options: InferOptions,
): Promise<Map<string, (number | string | undefined)[] | undefined>> {
  const castName = helperNames(stripped, 'cast');
  const rankName = helperNames(stripped, 'rank');
  const open = [...found].filter(
    ([, port]) =>
      typeof port === 'string' || (port.dataType !== undefined && port.dims?.length === 0),
  );
  if (open.length === 0) return new Map();
  const nodes: NodeProto[] = [];
  open.forEach(([name, port], i) => {
    const isCast = typeof port === 'string';
    if (isCast) nodes.push(castTo('float', name, castName(i)));
    nodes.push(shapeOf(isCast ? castName(i) : name, rankName(i)));
  });
  const outputs = nodes.map(({ output }) => output[0]!);
  const ports = await readOutputs(engine, withOutputs(stripped, outputs, nodes), options);
  const dimsByName = new Map(ports.map(({ name, dims }) => [name, dims]));
  return new Map(
    open.map(([name, port], i) => {
      if (typeof dimsByName.get(rankName(i))?.[0] !== 'number') return [name, undefined];
      const dims = typeof port === 'string' ? dimsByName.get(castName(i)) : [];
      return [name, dims?.map(toDim)];
    }),
  );
}

async function readOutputs(engine: Engine, message: ModelMessage, { signal }: InferOptions) {
  throwIfAborted(signal);
  const source = await messageSource(message);
  const session = await engine.createSession(source, {
    optimization: 'disabled',
    threads: 1,
    signal,
  });
  try {
    return session.outputs;
  } finally {
    await session.release();
  }
}

/** Names for helper values that no value of the model has. */
function helperNames({ proto }: ModelMessage, word: string): (index: number) => string {
  const taken = new Set(proto.graph?.node.flatMap(({ output }) => output));
  let prefix = `pare/${word}`;
  while ([...taken].some((name) => name.startsWith(prefix))) prefix += '_';
  return (index) => `${prefix}/${index}`;
}

function toDim(dim: number | string): number | string | undefined {
  return dim === '' ? undefined : dim;
}
