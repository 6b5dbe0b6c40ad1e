/**
 * How large a model is and what its bytes are for: the file, its compressed forms, and the
 * constants by role, by operator and by element type. Reads sizes, not numbers.
 */
import { throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { modelToProto } from '../graph/to-proto.js';
import type { Value } from '../graph/value.js';
import { encodeModel, encodeModelExternal } from '../onnx/encode.js';
import type { SparseTensorProto } from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import { tensorFromProto } from '../onnx/tensor-proto.js';
import {
  type ConstantRole,
  constantRoles,
  elementsOfInput,
  parameterRoles,
  roleOfInput,
} from '../ops/input-roles.js';
import { type ByteCounter, gzipCounter } from './compress.js';

/** Constants that have something in common. */
export interface SizeShare {
  readonly tensors: number;
  /** As stored; sub-byte types packed. */
  readonly bytes: number;
  /** Numbers that the bytes stand for: two per byte where a weight of 4 bits lies in uint8. */
  readonly elements: number;
}

/** Plain JSON. */
export interface SizeReport {
  /** The file and its external data, as pare writes it, or as the content that was given. */
  readonly fileBytes: number;
  /** Null where no counter was given. */
  readonly gzipBytes: number | null;
  readonly brotliBytes: number | null;
  /** Content of all constants; the rest of the file is graph, names and metadata. */
  readonly tensorBytes: number;
  /** Elements of weights, embeddings, biases and normalization. */
  readonly parameters: number;
  readonly byRole: Readonly<Record<ConstantRole, SizeShare>>;
  /** By the operator that uses the constant in its role, most bytes first; 'none' for unused ones. */
  readonly byOperator: Readonly<Record<string, SizeShare>>;
  /** By element type, most bytes first. */
  readonly byDataType: Readonly<Record<string, SizeShare>>;
}

export interface SizeOptions {
  /** The bytes of the file and of its external data; default what pare writes for the model. */
  readonly content?: (() => Iterable<Uint8Array> | AsyncIterable<Uint8Array>) | undefined;
  /** Counts compressed bytes; default gzip by the platform, null for none. */
  readonly gzip?: (() => ByteCounter) | null | undefined;
  /** Default none: brotli is in node-compress.ts. */
  readonly brotli?: (() => ByteCounter) | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Measures one model. Content passes through once, in pieces, so a model with external data need
 * not fit into memory. MACs are in macs.ts, since they need an engine.
 *
 * @example
 * const { fileBytes, brotliBytes } = await sizeOf(model, { brotli: () => brotliCounter() });
 */
export async function sizeOf(model: Model, options: SizeOptions = {}): Promise<SizeReport> {
  const { gzip = gzipCounter, brotli } = options;
  const counters = { gzip: gzip?.(), brotli: brotli?.() };
  const used = Object.values(counters).filter((counter) => counter !== undefined);
  let fileBytes = 0;
  for await (const piece of options.content?.() ?? contentOf(model)) {
    throwIfAborted(options.signal);
    fileBytes += piece.byteLength;
    await Promise.all(used.map((counter) => counter.write(piece)));
  }
  const [gzipBytes, brotliBytes] = await Promise.all([
    counters.gzip?.end(),
    counters.brotli?.end(),
  ]);
  return {
    fileBytes,
    gzipBytes: gzipBytes ?? null,
    brotliBytes: brotliBytes ?? null,
    ...weigh(model),
  };
}

/** Above this, weights that are not in memory are streamed and not read at once. */
const inMemoryBytes = 256 * 2 ** 20;
/** Near the limit of a protobuf file. */
const oneFileBytes = 1.5e9;

/** The model's file, its weights streamed as external data where they are large. */
async function* contentOf(model: Model): AsyncGenerator<Uint8Array> {
  const message = modelToProto(model);
  let [all, outside] = [0, 0];
  for (const tensor of message.contents.values()) {
    all += tensor.byteLength;
    if (tensor.content.kind === 'range') outside += tensor.byteLength;
  }
  if (all <= oneFileBytes && outside <= inMemoryBytes) {
    yield* await encodeModel(message);
    return;
  }
  const { parts, files } = await encodeModelExternal(message, { location: 'weights.data' });
  yield* parts;
  for (const file of files) yield* file.parts();
}

/** What a constant is used for. */
export interface Use {
  readonly role: ConstantRole;
  readonly op: string;
  /** The node; undefined for a constant that nothing uses. */
  readonly node?: Node | undefined;
  readonly elements: number;
}

/** Sums over all initializers and Constant nodes, also of subgraphs and functions. */
function weigh(model: Model) {
  const none = () => ({ tensors: 0, bytes: 0, elements: 0 });
  type Sum = ReturnType<typeof none>;
  const byRole = Object.fromEntries(constantRoles.map((role) => [role, none()])) as Record<
    ConstantRole,
    Sum
  >;
  const byOperator: Record<string, Sum> = {};
  const byDataType: Record<string, Sum> = {};
  let [tensorBytes, parameters] = [0, 0];
  for (const { value, tensor, bytes } of constantsOf(model)) {
    const { role, op, elements } = mainUse(value, tensor);
    tensorBytes += bytes;
    if (parameterRoles.has(role)) parameters += elements;
    const sums = [
      byRole[role],
      (byOperator[op] ??= none()),
      (byDataType[tensor.dataType] ??= none()),
    ];
    for (const sum of sums) {
      sum.tensors++;
      sum.bytes += bytes;
      sum.elements += elements;
    }
  }
  return {
    tensorBytes,
    parameters,
    byRole,
    byOperator: byBytes(byOperator),
    byDataType: byBytes(byDataType),
  };
}

/** A tensor that the file holds. */
export interface Constant {
  readonly value: Value;
  readonly tensor: Tensor;
  readonly bytes: number;
}

/** Every initializer and Constant node, also of subgraphs and functions. */
export function* constantsOf(model: Model): Generator<Constant> {
  for (const graph of model.allGraphs()) {
    for (const value of graph.initializers) {
      if (value.initializer) yield constant(value, value.initializer);
      else if (value.sparse) yield* sparseConstant(value, value.sparse);
    }
    for (const node of graph.nodes) {
      const tensor = node.inputs.length === 0 ? node.tensorAttribute('value') : undefined;
      if (tensor && node.outputs[0]) yield constant(node.outputs[0], tensor);
    }
  }
}

function constant(value: Value, tensor: Tensor): Constant {
  return { value, tensor, bytes: tensor.byteLength };
}

/** A sparse tensor counts the values that it stores, and the bytes of their indices too. */
function* sparseConstant(
  value: Value,
  { values, indices }: SparseTensorProto,
): Generator<Constant> {
  if (!values) return;
  const tensor = tensorFromProto(values, new Map());
  const bytes = indices ? tensorFromProto(indices, new Map()).byteLength : 0;
  yield { value, tensor, bytes: tensor.byteLength + bytes };
}

/** The use that stands first among the roles. */
export function mainUse(value: Value, tensor: Tensor): Use {
  let best: Use = { role: 'constant', op: 'none', elements: tensor.size };
  for (const use of usesOf(value, tensor, new Set())) {
    const better = constantRoles.indexOf(use.role) - constantRoles.indexOf(best.role);
    if (better < 0 || best.op === 'none') best = use;
  }
  return best;
}

/** Uses of a constant; nodes that pass it on are followed to those that use what they make. */
function* usesOf(value: Value, tensor: Tensor, seen: Set<Node>): Generator<Use> {
  for (const { node, index } of value.uses) {
    const role = roleOfInput(node, index, tensor);
    if (role !== 'through') {
      yield { role, op: node.op, node, elements: elementsOfInput(node, index, tensor) };
    } else if (!seen.has(node)) {
      seen.add(node);
      for (const output of node.outputs) if (output) yield* usesOf(output, tensor, seen);
    }
  }
}

function byBytes(sums: Record<string, SizeShare>): Record<string, SizeShare> {
  return Object.fromEntries(Object.entries(sums).sort(([, a], [, b]) => b.bytes - a.bytes));
}
