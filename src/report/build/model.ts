/** Facts and bytes of models, and structural differences, as parts of a report. No measuring. */
import type { Model } from '../../graph/model.js';
import type { ModelDiff } from '../../measure/diff.js';
import type { SizeReport, SizeShare } from '../../measure/size.js';
import { sizeItems } from '../../measure/size-items.js';
import type { ModelSize } from '../data/cost.js';
import { type DiffData, mostDiffRows } from '../data/diff.js';
import type { ModelFacts } from '../data/summary.js';

export function factsOf(
  name: string,
  file: string,
  model: Model,
  size: SizeReport,
  more: { readonly macs?: number | null; readonly sha256?: string | undefined },
): ModelFacts {
  return {
    ...{ name, file },
    bytes: size.fileBytes,
    gzipBytes: size.gzipBytes,
    brotliBytes: size.brotliBytes,
    nodes: [...model.allNodes()].length,
    parameters: size.parameters,
    macs: more.macs ?? null,
    sha256: more.sha256 ?? null,
  };
}

export function sizePart(name: string, model: Model, size: SizeReport): ModelSize {
  const shares = (sums: Readonly<Record<string, SizeShare>>) =>
    Object.entries(sums)
      .map(([key, { tensors, bytes }]) => ({ name: key, tensors, bytes }))
      .filter(({ bytes }) => bytes > 0)
      .sort((a, b) => b.bytes - a.bytes);
  return {
    model: name,
    tensorBytes: size.tensorBytes,
    items: sizeItems(model),
    byRole: shares(size.byRole),
    byType: shares(size.byDataType),
  };
}

export function diffPart(diff: ModelDiff): DiffData {
  const { equal, difference, nodes, head, operators } = diff;
  const { unchanged, added, removed, changed } = nodes;
  return {
    ...{ equal, difference },
    interface: [...diff.interface],
    head: [...head],
    nodes: {
      unchanged,
      addedCount: added.length,
      removedCount: removed.length,
      changedCount: changed.length,
      added: added.slice(0, mostDiffRows),
      removed: removed.slice(0, mostDiffRows),
      changed: changed
        .slice(0, mostDiffRows)
        .map(({ node, op, now, changes }) => ({ node, op, now, changes: [...changes] })),
    },
    operators: [...operators],
  };
}
