/**
 * Computes ahead, through the engine, what is the same in every run. All constant nodes go into
 * one throw-away session (a few when their weights are large), with the runtime's own optimizer
 * off. Results larger than what they are made of, and than a limit, stay computed: folding must
 * not blow up the file. Weights that no constant node reads are not touched.
 */
import * as z from 'zod/mini';
import type { Engine } from '../engine/engine.js';
import { isOrtType } from '../engine/ort-types.js';
import { throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import type { ValueType } from '../graph/value-type.js';
import { byteLengthOf, elementCount } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';
import { traitsOf } from '../ops/traits.js';
import { definePass, ReportBuilder, requireEngine } from '../pass.js';
import { batchesOf, findConstantNodes } from './constant-subgraph.js';
import { isAnnotated, makeConstant, removeIfUnused } from './edit.js';
import { evaluate, splitRefused, typesOf } from './evaluate-constants.js';

/** What a folded value may pass through on its way: more is not worth the memory. */
const intermediateLimitBytes = 64 << 20;
/** Constants that one throw-away session holds. */
const sessionBytes = 64 << 20;
/**
 * Folded results are held in memory until the model is written, while weights of a file are not:
 * models larger than memory must pass.
 */
const heldLimitBytes = 256 << 20;
/** Which tensors were made here: a model is worked on in several rounds. */
const madeHere = new WeakSet<Tensor>();
/** Sizes become known as shapes are folded, each round more. */
const maxRounds = 8;

export const foldConstants = definePass({
  name: 'fold-constants',
  summary: 'Computes ahead what is the same in every run.',
  options: z.object({
    /** A result may have this many bytes, or as many as the largest constant that it replaces. */
    limitBytes: z._default(z.number().check(z.nonnegative()), 1 << 20),
  }),
  async run(model, { limitBytes }, context) {
    const engine = requireEngine(context, 'fold-constants');
    const report = new ReportBuilder();
    const stays = new Map<Node, string>();
    let held = heldBytes(model);
    for (let round = 0; round < maxRounds; round++) {
      throwIfAborted(context.signal);
      const { nodes, refused } = findConstantNodes(model, stays);
      for (const [node, why] of refused) stays.set(node, why);
      const folding = await planFolding(engine, model, nodes, stays, limitBytes, context.signal);
      let folded = 0;
      for (const batch of batchesOf(folding.nodes, sessionBytes)) {
        const failed = await splitRefused(batch, async (part) => {
          const left = part.filter((node) => node.graph && !stays.has(node));
          const results = frontierOf(left);
          const bytes = results.reduce((sum, value) => sum + (folding.bytes.get(value) ?? 0), 0);
          if (held + bytes > heldLimitBytes) {
            const limit = `${heldLimitBytes >> 20} MiB of folded weights are held already`;
            for (const node of left) stays.set(node, limit);
            return;
          }
          const tensors = await evaluate(engine, model, left, results, context.signal);
          for (const node of left) report.change(node, 'computed ahead');
          for (const [value, tensor] of tensors) {
            madeHere.add(tensor);
            makeConstant(value, tensor);
          }
          for (const node of [...left].reverse()) removeIfUnused(node);
          held += bytes;
          folded += left.length;
        });
        for (const [node, why] of failed) stays.set(node, `the runtime cannot compute it: ${why}`);
      }
      if (folded > 0) continue;
      for (const node of nodes) {
        const ready = node.inputs.every((input) => !input || input.constant);
        if (ready && !stays.has(node)) stays.set(node, 'the size of its result is not known ahead');
      }
      break;
    }
    for (const [node, why] of stays) if (node.graph) report.skip(node, why);
    return report;
  },
});

function heldBytes(model: Model): number {
  let bytes = 0;
  for (const { initializer } of model.graph.initializers) {
    if (initializer && madeHere.has(initializer)) bytes += initializer.byteLength;
  }
  return bytes;
}

interface Folding {
  readonly nodes: readonly Node[];
  /** Expected sizes; at most, where the shape depends on the numbers. */
  readonly bytes: ReadonlyMap<Value, number>;
}

/** The nodes to compute in this round. Those that must stay for good are added to `stays`. */
async function planFolding(
  engine: Engine,
  model: Model,
  candidates: readonly Node[],
  stays: Map<Node, string>,
  limitBytes: number,
  signal: AbortSignal | undefined,
): Promise<Folding> {
  const types = new Map<Value, ValueType>();
  const refused = await splitRefused(candidates, async (part) => {
    for (const [value, type] of await typesOf(engine, model, part, signal)) types.set(value, type);
  });
  for (const [node, why] of refused) stays.set(node, `the runtime refuses it: ${why}`);
  const bytes = sizesOf(candidates, types);
  const largest = largestFreed(candidates);
  const chosen = new Set(candidates.filter((node) => !refused.has(node)));
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of chosen) {
      const verdict = verdictOn(node, chosen, { types, bytes, largest, limitBytes });
      if (verdict === undefined) continue;
      chosen.delete(node);
      changed = true;
      // A size that is not known yet may be in the next round.
      if (verdict !== 'later') stays.set(node, verdict);
    }
  }
  return { nodes: candidates.filter((node) => chosen.has(node)), bytes };
}

interface Facts {
  readonly types: ReadonlyMap<Value, ValueType>;
  readonly bytes: ReadonlyMap<Value, number>;
  /** The largest constant that a value is made of and that folding frees. */
  readonly largest: ReadonlyMap<Value, number>;
  readonly limitBytes: number;
}

/** Why the node stays, 'later' when that is only for now, undefined when it can be folded. */
function verdictOn(node: Node, chosen: ReadonlySet<Node>, facts: Facts): string | undefined {
  for (const input of node.inputs) {
    if (input && !input.constant && !(input.producer && chosen.has(input.producer))) {
      return 'later';
    }
  }
  for (const output of node.outputs) {
    if (!output || output.isUnused) continue;
    if (isAnnotated(output)) return 'its output carries a quantization annotation';
    const frontier = isFrontier(output, chosen);
    const type = facts.types.get(output);
    if (frontier && (type?.kind !== 'tensor' || !type.dataType || !isOrtType(type.dataType))) {
      return 'its result is of a type that cannot be stored';
    }
    const bytes = facts.bytes.get(output);
    if (bytes === undefined) {
      if (type?.kind === 'tensor') return 'later';
      continue;
    }
    const limit = frontier
      ? Math.max(facts.limitBytes, facts.largest.get(output) ?? 0)
      : Math.max(intermediateLimitBytes, facts.largest.get(output) ?? 0);
    if (bytes > limit) return `its result of ${bytes} bytes exceeds the limit of ${limit}`;
  }
  return undefined;
}

/** Nodes outside of the chosen ones, or the graph itself, want the value. */
function isFrontier(value: Value, chosen: ReadonlySet<Node>): boolean {
  if (value.isOutput) return true;
  for (const user of value.users) if (!chosen.has(user)) return true;
  return false;
}

function frontierOf(nodes: readonly Node[]): Value[] {
  const chosen = new Set(nodes);
  return nodes.flatMap((node) =>
    node.outputs.filter((value) => value !== undefined && isFrontier(value, chosen)),
  ) as Value[];
}

function sizesOf(nodes: readonly Node[], types: ReadonlyMap<Value, ValueType>): Map<Value, number> {
  const bytes = new Map<Value, number>();
  for (const node of nodes) {
    for (const output of node.outputs) {
      if (!output) continue;
      const type = types.get(output);
      if (type?.kind !== 'tensor' || !type.dataType) continue;
      if (type.dims?.every((dim) => typeof dim === 'number')) {
        // Strings have no fixed width; a word or two is a fair guess.
        const count = elementCount(type.dims as number[]);
        const size = type.dataType === 'string' ? 16 * count : byteLengthOf(type.dataType, count);
        bytes.set(output, size);
      } else if (traitsOf(node.op).shrinks) {
        const tensors = node.inputs.flatMap((input) => (input ? [input.constant] : []));
        if (tensors.includes(undefined)) continue;
        const counts = tensors.map((tensor) => tensor!.size * Math.max(1, tensor!.dims.length));
        bytes.set(output, byteLengthOf(type.dataType, Math.max(...counts)));
      }
    }
  }
  return bytes;
}

/**
 * For each value, the bytes of the largest constant that it is made of and that folding frees: a
 * weight that others read too (a tied embedding) stays in the file, so it makes no room.
 */
function largestFreed(nodes: readonly Node[]): Map<Value, number> {
  const candidates = new Set(nodes);
  const largest = new Map<Value, number>();
  for (const node of nodes) {
    let most = 0;
    for (const input of node.inputs) {
      if (!input) continue;
      const freed = input.isConstant && !isFrontier(input, candidates);
      const bytes = freed ? input.initializer!.byteLength : (largest.get(input) ?? 0);
      most = Math.max(most, bytes);
    }
    for (const output of node.outputs) if (output) largest.set(output, most);
  }
  return largest;
}
