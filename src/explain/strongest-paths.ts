/**
 * The strongest paths from the input to an output: chains of connections whose shares have the
 * largest product. The best few of each unit are made of the best few of the units that it reads,
 * layer by layer in the order of the model, so that every path is seen without being listed.
 */
import type { Reader } from './connections.js';
import type { PathsTo } from './explanation.js';

interface Path {
  readonly layer: string;
  readonly unit: number;
  readonly share: number;
  readonly before: Path | undefined;
}

/**
 * @param readers in the order of the model, the output among them
 * @param most paths per output
 */
export function strongestPaths(
  readers: readonly Reader[],
  output: string,
  units: readonly number[],
  most: number,
): PathsTo[] {
  const best = new Map<string, readonly (readonly Path[])[]>();
  for (const { id, units: count, sources } of readers) {
    const own: Path[][] = [];
    for (let unit = 0; unit < count; unit++) {
      const found: Path[] = [];
      for (const { source, shares } of sources) {
        const above = best.get(source.id);
        for (let from = 0; from < source.units; from++) {
          const share = shares[unit * source.units + from]!;
          if (share === 0) continue;
          // A source that nothing is known to feed is where a path begins.
          const starts = above?.[from] ?? [
            { layer: source.id, unit: from, share: 1, before: undefined },
          ];
          for (const before of starts) {
            offer(found, { layer: id, unit, share: share * before.share, before }, most);
          }
        }
      }
      own.push(found);
    }
    best.set(id, own);
  }
  return units.map((unit) => ({
    output: unit,
    paths: (best.get(output)?.[unit] ?? []).map((path) => ({
      steps: stepsOf(path),
      share: path.share,
    })),
  }));
}

/** Keeps the list sorted and short. */
function offer(list: Path[], path: Path, most: number): void {
  if (list.length === most && list.at(-1)!.share >= path.share) return;
  const at = list.findIndex(({ share }) => share < path.share);
  list.splice(at < 0 ? list.length : at, 0, path);
  if (list.length > most) list.pop();
}

function stepsOf(path: Path): { layer: string; unit: number }[] {
  const steps: { layer: string; unit: number }[] = [];
  for (let at: Path | undefined = path; at; at = at.before)
    steps.unshift({ layer: at.layer, unit: at.unit });
  return steps;
}
