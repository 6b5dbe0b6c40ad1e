/**
 * Makes equal initializers one: within a graph, with one of a graph around, and large ones of two
 * branches by moving them to the main graph. Contents are compared by a few bytes first and in
 * pieces then, so that weights which differ are not read, and none is held in memory.
 */
import * as z from 'zod/mini';
import { throwIfAborted } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import type { Value } from '../graph/value.js';
import type { Tensor } from '../onnx/tensor.js';
import { definePass, ReportBuilder } from '../pass.js';
import { isAnnotationPart, whyNotReplace } from './edit.js';

export const mergeInitializers = definePass({
  name: 'merge-initializers',
  summary: 'Merges initializers with equal content.',
  options: z.object({}),
  async run(model, _options, context) {
    const report = new ReportBuilder();
    const constants = [...model.graph.allGraphs()].flatMap((graph) =>
      graph.initializers.filter(
        (value) => value.isConstant && !value.isOutput && !isAnnotationPart(value),
      ),
    );
    for (const group of groupBy(constants, typeKey)) {
      if (group.length < 2) continue;
      const bySample = new Map<string, Value[]>();
      for (const value of group) {
        throwIfAborted(context.signal);
        const key = await sampleOf(value.initializer!);
        const kept = bySample.get(key) ?? [];
        bySample.set(key, kept);
        const twin = await findEqual(value, kept, model.graph);
        if (twin) {
          report.changed.push({ node: value.name, op: 'initializer', what: `merged into ${twin}` });
          value.replaceUses(twin);
          value.graph.removeValue(value);
        } else {
          kept.push(value);
        }
      }
    }
    return report;
  },
});

/** An equal one that can stand in; one of another branch is moved to where both can see it. */
async function findEqual(value: Value, kept: Value[], main: Graph): Promise<Value | undefined> {
  for (const [at, other] of kept.entries()) {
    const visible = whyNotReplace(value, other) === undefined;
    if (!visible && value.initializer!.byteLength < hoistBytes) continue;
    if (!(await sameContent(value.initializer!, other.initializer!))) continue;
    if (visible) return other;
    const moved = main.addInitializer(other.name, other.initializer!);
    if (whyNotReplace(other, moved) ?? whyNotReplace(value, moved)) {
      main.removeValue(moved);
      continue;
    }
    other.replaceUses(moved);
    other.graph.removeValue(other);
    kept[at] = moved;
    return moved;
  }
  return undefined;
}

/** Smaller constants stay in their branch, where they are easier to read. */
const hoistBytes = 4096;

function groupBy(values: readonly Value[], keyOf: (tensor: Tensor) => string): Value[][] {
  const groups = new Map<string, Value[]>();
  for (const value of values) {
    const key = keyOf(value.initializer!);
    groups.set(key, [...(groups.get(key) ?? []), value]);
  }
  return [...groups.values()];
}

function typeKey({ dataType, dims, byteLength }: Tensor): string {
  return `${dataType}[${dims}]${byteLength}`;
}

/** Enough to tell trained weights apart. */
const sampleBytes = 256;

async function sampleOf(tensor: Tensor): Promise<string> {
  return tensor.dataType === 'string'
    ? ''
    : String(await slice(tensor, 0, Math.min(sampleBytes, tensor.byteLength)));
}

const pieceBytes = 1 << 20;

async function sameContent(a: Tensor, b: Tensor): Promise<boolean> {
  if (a.dataType === 'string') {
    return JSON.stringify(stringBytes(a)) === JSON.stringify(stringBytes(b));
  }
  if (sameRange(a, b)) return true;
  for (let at = 0; at < a.byteLength; at += pieceBytes) {
    const end = Math.min(at + pieceBytes, a.byteLength);
    const [left, right] = await Promise.all([slice(a, at, end), slice(b, at, end)]);
    for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  }
  return true;
}

function sameRange({ content: a }: Tensor, { content: b }: Tensor): boolean {
  return a.kind === 'range' && b.kind === 'range' && a.source === b.source && a.offset === b.offset;
}

function stringBytes({ content }: Tensor): number[][] {
  return content.kind === 'strings' ? content.strings.map((bytes) => [...bytes]) : [];
}

async function slice({ content }: Tensor, start: number, end: number): Promise<Uint8Array> {
  if (content.kind === 'bytes') return content.bytes.subarray(start, end);
  if (content.kind === 'strings') return new Uint8Array();
  return await content.source.slice(content.offset + start, content.offset + end);
}
