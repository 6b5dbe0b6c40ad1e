/**
 * Makes equal initializers of one graph one. Contents are compared by a few bytes first and in
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
    for (const graph of [...model.allGraphs()]) {
      const merged = await mergeIn(graph, context.signal);
      for (const [node, kept] of merged) {
        report.changed.push({ node, op: 'initializer', what: `merged into ${kept}` });
      }
    }
    return report;
  },
});

async function mergeIn(graph: Graph, signal?: AbortSignal): Promise<[string, string][]> {
  const groups = new Map<string, Value[]>();
  for (const value of graph.initializers) {
    if (!value.isConstant || value.isOutput || isAnnotationPart(value)) continue;
    const key = typeKey(value.initializer!);
    groups.set(key, [...(groups.get(key) ?? []), value]);
  }
  const merged: [string, string][] = [];
  for (const group of groups.values()) {
    if (group.length < 2) continue;
    const kept = new Map<string, Value[]>();
    for (const value of group) {
      throwIfAborted(signal);
      const key = await sampleOf(value.initializer!);
      const candidates = kept.get(key) ?? [];
      const twin = await findEqual(value, candidates);
      if (twin) {
        value.replaceUses(twin);
        graph.removeValue(value);
        merged.push([value.name, twin.name]);
      } else {
        kept.set(key, [...candidates, value]);
      }
    }
  }
  return merged;
}

async function findEqual(value: Value, candidates: readonly Value[]): Promise<Value | undefined> {
  for (const other of candidates) {
    if (whyNotReplace(value, other)) continue;
    if (await sameContent(value.initializer!, other.initializer!)) return other;
  }
  return undefined;
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
