/**
 * The layers whose weights are prepared for integers row by row, with what their rows are
 * multiplied with; shared by learned rounding and the search of weight scales. Changes nothing.
 */
import * as z from 'zod/mini';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import { type PatchLayout, patchLayouts } from '../../measure/input-patches.js';
import { integerRoles } from '../../ops/integer-roles.js';
import type { ReportBuilder } from '../../pass.js';
import { checkPatterns, nodeMatcher } from '../../pattern.js';
import { type Linear, linearOf, whyNotChange } from '../../simplify/linear.js';

/** Options of passes over layers; the first five as in the scheme that follows. */
export const layerFields = {
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
  /** One scale per output channel. */
  perChannel: z._default(z.boolean(), true),
  /** Seven bits. */
  reduceRange: z._default(z.boolean(), false),
  /** MatMul too, which static leaves in float unless it is asked. */
  matMul: z._default(z.boolean(), false),
  /** Bits of the integers, symmetric: 4 has -7 to 7. */
  bits: z._default(z.int().check(z.gte(2), z.lte(8)), 8),
  /** Layers with more inputs per output than this are left alone. */
  maxFeatures: z._default(z.int().check(z.gte(1)), 2048),
};

const layerOptions = z.object(layerFields);

export type LayerOptions = z.output<typeof layerOptions>;

export interface Layer {
  readonly linear: Linear;
  readonly layout: PatchLayout;
}

/** Most bytes of covariances that are gathered in one pass over the samples. */
const bytesPerPass = 256e6;

/** Largest magnitude of the integers. */
export function limitOf({ bits, reduceRange }: LayerOptions): number {
  return 2 ** (bits - 1 - (reduceRange ? 1 : 0)) - 1;
}

/** In graph order; linear nodes that are left out are named in the report. */
export function findLayers(model: Model, options: LayerOptions, report: ReportBuilder): Layer[] {
  checkPatterns(options.include, model.allNodes(), 'include');
  checkPatterns(options.exclude, model.allNodes(), 'exclude');
  const included = nodeMatcher(options.include);
  const excluded = nodeMatcher(options.exclude);
  const layers: Layer[] = [];
  for (const node of model.graph.nodes) {
    if (!Object.hasOwn(patchLayouts, node.op)) {
      const linear = linearOf(node);
      if (linear && !('reason' in linear)) report.skip(node, `${node.op} is rounded to nearest`);
      continue;
    }
    const found = excluded(node)
      ? { reason: 'excluded by the caller' }
      : options.include.length > 0 && !included(node)
        ? { reason: 'not included' }
        : layerOf(node, options);
    if ('reason' in found) report.skip(node, found.reason);
    else layers.push(found);
  }
  return layers;
}

function layerOf(node: Node, options: LayerOptions): Layer | { reason: string } {
  const linear = linearOf(node) ?? { reason: 'it has no constant weight' };
  if ('reason' in linear) return linear;
  const role = integerRoles[node.op];
  if (role?.kind === 'compute' && role.onRequest && !options.matMul) {
    return { reason: `${node.op} is off (option matMul)` };
  }
  if (linear.weight.dataType !== 'float')
    return { reason: `its weight is ${linear.weight.dataType}` };
  const shared = whyNotChange(linear, 0);
  if (shared) return { reason: shared };
  const layout = patchLayouts[node.op]!(node, linear.weight.dims);
  if ('reason' in layout) return layout;
  if (layout.features > options.maxFeatures) {
    return {
      reason: `an output sees ${layout.features} inputs, more than maxFeatures ${options.maxFeatures}`,
    };
  }
  return { linear, layout };
}

/** Layers whose covariances fit into memory together. */
export function* passesOf(layers: readonly Layer[]): Generator<Layer[]> {
  let group: Layer[] = [];
  let bytes = 0;
  for (const layer of layers) {
    const { groups, features } = layer.layout;
    const size = 8 * groups * features ** 2;
    if (group.length > 0 && bytes + size > bytesPerPass) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(layer);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

/** Positions in the stored weight of the elements of every output channel, in feature order. */
export function elementsByOutput({ layout }: Linear): number[][] {
  const { rows, columns, inner, outChannels } = layout;
  const found: number[][] = Array.from({ length: outChannels }, () => []);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const elements = found[layout.outChannel(row, column)]!;
      for (let end = at + inner; at < end; at++) elements.push(at);
    }
  }
  return found;
}

/** Where the first largest magnitude among these elements is. */
export function largestAt(values: ArrayLike<number>, positions: Iterable<number>): number {
  let at = -1;
  for (const i of positions) {
    if (at < 0 || Math.abs(values[i]!) > Math.abs(values[at]!)) at = i;
  }
  return at;
}
