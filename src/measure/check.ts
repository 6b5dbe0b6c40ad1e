/**
 * Looks for what is broken or wasteful in a model: numbers that are not finite, parts that nothing
 * uses, types that are declared wrongly, weights that are stored twice. Changes nothing.
 */
import type { Engine } from '../engine/engine.js';
import { inferTypes } from '../engine/shapes.js';
import { messageOf, PareError, throwIfAborted } from '../errors.js';
import { fingerprint, firstDifference } from '../graph/content.js';
import type { Graph } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { modelToProto } from '../graph/to-proto.js';
import { dimsText, typeText } from '../graph/type-text.js';
import type { ValueType } from '../graph/value-type.js';
import { checkNumbers } from './check-tensor.js';
import { type Constant, constantsOf, mainUse } from './size.js';

/** What is found, by kind, the gravest first. */
export const findingKinds = Object.freeze([
  'not-finite',
  'wrong-type',
  'unused-input',
  'float16-overflow',
  'denormal',
  'dead-node',
  'dead-initializer',
  'duplicate-weight',
] as const);

export type FindingKind = (typeof findingKinds)[number];

/** Plain JSON. */
export interface Finding {
  readonly kind: FindingKind;
  /** 'error': results are wrong; 'warning': they may be; 'note': only bytes or time are lost. */
  readonly severity: 'error' | 'warning' | 'note';
  /** The tensor, value or node. */
  readonly name: string;
  /** With its numbers. */
  readonly message: string;
}

/** Plain JSON. */
export interface CheckReport {
  readonly findings: readonly Finding[];
  /** Constants whose numbers were read. */
  readonly tensors: number;
  /** Checks that could not be made, and why. */
  readonly notes: readonly string[];
}

const severities: Readonly<Record<FindingKind, Finding['severity']>> = Object.freeze({
  'not-finite': 'error',
  'wrong-type': 'warning',
  'unused-input': 'warning',
  'float16-overflow': 'note',
  denormal: 'note',
  'dead-node': 'note',
  'dead-initializer': 'note',
  'duplicate-weight': 'note',
});

/** Smaller ones are not worth a line. */
const leastDuplicateBytes = 1024;

/**
 * Reads every constant once, one at a time. Declared types are compared with inferred ones when
 * there is an engine. Throws `io` where a constant cannot be read, `aborted` on the signal.
 */
export async function checkModel(
  model: Model,
  options: { readonly engine?: Engine | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<CheckReport> {
  const findings: Finding[] = [];
  const notes: string[] = [];
  const add = (kind: FindingKind, name: string, message: string) => {
    findings.push({ kind, severity: severities[kind], name, message });
  };
  const tensors = await checkConstants(model, add, options.signal);
  for (const value of model.graph.inputs) {
    if (value.isUnused) add('unused-input', value.name, 'nothing uses this input of the model');
  }
  for (const graph of model.allGraphs()) checkDead(graph, add);
  await checkDuplicates(model, add, options.signal);
  if (options.engine) await checkTypes(model, options.engine, add, notes, options.signal);
  else notes.push('declared types were not compared with inferred ones: no engine was given');
  const order = (kind: FindingKind) => findingKinds.indexOf(kind);
  findings.sort((a, b) => order(a.kind) - order(b.kind));
  return { findings, tensors, notes };
}

type Add = (kind: FindingKind, name: string, message: string) => void;

async function checkConstants(
  model: Model,
  add: Add,
  signal: AbortSignal | undefined,
): Promise<number> {
  let read = 0;
  for (const { value, tensor } of constantsOf(model)) {
    throwIfAborted(signal);
    const numbers = await checkNumbers(tensor);
    if (!numbers) continue;
    read++;
    const of = `of ${tensor.size} elements`;
    const { nan, infinite, denormal, beyondFloat16, largest, firstBad } = numbers;
    const { role } = mainUse(value, tensor);
    // Masks are made of infinities on purpose; a NaN is never meant.
    if (nan > 0 || (infinite > 0 && role !== 'constant')) {
      add(
        'not-finite',
        value.name,
        `${nan} NaN and ${infinite} infinite ${of}, first at ${indexText(firstBad, tensor.dims)}`,
      );
    }
    if (beyondFloat16 > 0) {
      add(
        'float16-overflow',
        value.name,
        `${beyondFloat16} ${of} are beyond 65504, the largest float16 (largest ${largest.toPrecision(4)}; used as ${role})`,
      );
    }
    if (denormal > 0) add('denormal', value.name, `${denormal} denormal numbers ${of}`);
  }
  return read;
}

/** '[2,0,5]' for an index into the flat content. */
function indexText(index: number, dims: readonly number[]): string {
  const parts: number[] = [];
  let rest = index;
  for (const dim of [...dims].reverse()) {
    parts.unshift(rest % dim);
    rest = Math.floor(rest / dim);
  }
  return `[${parts}]`;
}

/** Nodes that no output depends on, and constants that only they use, or nobody. */
function checkDead(graph: Graph, add: Add): void {
  const live = new Set<Node>();
  const isLive = (user: Node) => {
    let node: Node | undefined = user;
    while (node && node.graph !== graph) node = node.graph?.owner;
    return node !== undefined && live.has(node);
  };
  for (const node of [...graph.nodes].reverse()) {
    const isUsed = node.outputs.some(
      (output) => output && (output.isOutput || [...output.users].some(isLive)),
    );
    if (isUsed) live.add(node);
    else add('dead-node', node.label, `no output depends on this ${node.op}`);
  }
  for (const value of graph.initializers) {
    if (value.isInput || value.isOutput || [...value.users].some(isLive)) continue;
    const bytes = value.initializer ? `${value.initializer.byteLength} bytes` : 'sparse';
    const why = value.users.size > 0 ? 'only dead nodes use it' : 'nothing uses it';
    add('dead-initializer', value.name, `${why} (${bytes})`);
  }
}

async function checkDuplicates(
  model: Model,
  add: Add,
  signal: AbortSignal | undefined,
): Promise<void> {
  const byShape = new Map<string, Constant[]>();
  for (const constant of constantsOf(model)) {
    const { tensor, bytes } = constant;
    if (bytes < leastDuplicateBytes) continue;
    const key = `${tensor.dataType}${dimsText(tensor.dims)}`;
    byShape.set(key, [...(byShape.get(key) ?? []), constant]);
  }
  for (const group of byShape.values()) {
    if (group.length < 2) continue;
    const firsts = new Map<string, Constant>();
    for (const constant of group) {
      throwIfAborted(signal);
      const print = await fingerprint(constant.tensor);
      const first = firsts.get(print);
      if (!first) firsts.set(print, constant);
      // Fingerprints are short: equal ones are only a hint.
      else if ((await firstDifference(first.tensor, constant.tensor)) === undefined) {
        add(
          'duplicate-weight',
          constant.value.name,
          `the same ${constant.bytes} bytes as ${first.value.name}`,
        );
      }
    }
  }
}

async function checkTypes(
  model: Model,
  engine: Engine,
  add: Add,
  notes: string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    const { types } = await inferTypes(engine, modelToProto(model), { signal });
    for (const value of model.graph.values) {
      if (value.isInput || value.initializer) continue;
      const [declared, inferred] = [value.type, types.get(value.name)];
      if (declared && inferred && disagree(declared, inferred)) {
        add(
          'wrong-type',
          value.name,
          `declared ${typeText(declared)}, inferred ${typeText(inferred)}`,
        );
      }
    }
  } catch (error) {
    if (!(error instanceof PareError) || error.code !== 'engine') throw error;
    notes.push(`declared types were not compared with inferred ones: ${messageOf(error)}`);
  }
}

/** An open dim agrees with everything. */
function disagree(declared: ValueType, inferred: ValueType): boolean {
  if (declared.kind !== 'tensor' || inferred.kind !== 'tensor') {
    return declared.kind !== inferred.kind;
  }
  if (declared.dataType && inferred.dataType && declared.dataType !== inferred.dataType)
    return true;
  const [a, b] = [declared.dims, inferred.dims];
  if (!a || !b) return false;
  if (a.length !== b.length) return true;
  return a.some((dim, i) => typeof dim === 'number' && typeof b[i] === 'number' && dim !== b[i]);
}
