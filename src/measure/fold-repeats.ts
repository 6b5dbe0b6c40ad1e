/**
 * Repeated stretches of a sequence, folded: a b c a b c a b c d becomes 3 × (a b c), d. Of all ways
 * to fold the one with the fewest symbols, by dynamic programming over places and periods, and
 * inside of a repeated stretch again. Knows nothing of models.
 */

/** An item of the sequence, or a stretch of it that comes several times in a row. */
export type Folded<Item> =
  | { readonly times: 1; readonly item: Item }
  | {
      readonly times: number;
      readonly items: readonly Folded<Item>[];
      /** All occurrences, in order; `items` stands for the first. */
      readonly all: readonly (readonly Item[])[];
    };

/** The longest stretch that is looked for; time grows with it. */
const mostPeriod = 256;

/**
 * @param keyOf equal for items that count as the same
 * @example foldRepeats([...'abcabcd'], (c) => c) // [{ times: 2, items: a b c }, { item: d }]
 */
export function foldRepeats<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
): Folded<Item>[] {
  const keys = items.map(keyOf);
  const count = items.length;
  const periods = Math.min(mostPeriod, Math.floor(count / 2));
  // best[i]: fewest symbols for what begins at i; choice[i]: the stretch to fold there.
  const best = new Int32Array(count + 1);
  const choice: ({ period: number; times: number } | undefined)[] = new Array(count);
  const runs = Array.from({ length: periods + 1 }, (_, period) => runLengths(keys, period));
  for (let at = count - 1; at >= 0; at--) {
    best[at] = 1 + best[at + 1]!;
    for (let period = 1; period <= periods; period++) {
      const most = 1 + Math.floor(runs[period]![at]! / period);
      for (let times = 2; times <= most; times++) {
        const cost = period + 1 + best[at + period * times]!;
        if (cost >= best[at]!) continue;
        best[at] = cost;
        choice[at] = { period, times };
      }
    }
  }
  const folded: Folded<Item>[] = [];
  for (let at = 0; at < count; ) {
    const found = choice[at];
    if (!found) {
      folded.push({ times: 1, item: items[at++]! });
      continue;
    }
    const { period, times } = found;
    const all = Array.from({ length: times }, (_, turn) =>
      items.slice(at + turn * period, at + (turn + 1) * period),
    );
    folded.push({ times, items: foldRepeats(all[0]!, keyOf), all });
    at += period * times;
  }
  return folded;
}

/** For every place, how many keys from there on equal the one a period later. */
function runLengths(keys: readonly string[], period: number): Int32Array {
  const runs = new Int32Array(keys.length + 1);
  if (period === 0) return runs;
  for (let at = keys.length - period - 1; at >= 0; at--) {
    runs[at] = keys[at] === keys[at + period] ? runs[at + 1]! + 1 : 0;
  }
  return runs;
}
