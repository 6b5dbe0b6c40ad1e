/**
 * The differences of two texts line by line, in the unified format of `diff -u`.
 * Algorithm: E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1
 * (1986), the greedy form with its trace kept, after equal lines at both ends are cut off.
 */

export interface LineDiffOptions {
  /** How the header calls the texts. Default 'a' and 'b'. */
  readonly names?: readonly [a: string, b: string];
  /** Equal lines shown around a difference. Default 3. */
  readonly context?: number;
}

/**
 * Edits that are looked for: time and memory grow with their square. Texts further apart are shown
 * as one block that replaces the other, which is right but not the shortest.
 */
const mostEdits = 4000;

type Edit = ' ' | '-' | '+';

/** '' for equal texts. @example unifiedDiff('a\nb\n', 'a\nc\n') */
export function unifiedDiff(a: string, b: string, options: LineDiffOptions = {}): string {
  const { names = ['a', 'b'], context = 3 } = options;
  const [left, right] = [linesOf(a), linesOf(b)];
  const edits = editScript(left, right);
  const lines: string[] = [];
  let [at, i, j] = [0, 0, 0];
  /** Goes over edits up to here; returns what they look like. */
  const walk = (end: number): string[] =>
    edits.slice(at, (at = end)).map((edit) => {
      if (edit === '+') return `+${right[j++]}`;
      if (edit === ' ') j++;
      return `${edit}${left[i++]}`;
    });
  for (const [start, end] of hunksOf(edits, context)) {
    walk(start);
    const [startA, startB] = [i, j];
    const body = walk(end);
    const ranges = `-${rangeText(startA, i - startA)} +${rangeText(startB, j - startB)}`;
    lines.push(`@@ ${ranges} @@`, ...body);
  }
  if (lines.length === 0) return '';
  return [`--- ${names[0]}`, `+++ ${names[1]}`, ...lines, ''].join('\n');
}

function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** An empty range names the line before it, as POSIX says. */
function rangeText(start: number, count: number): string {
  if (count === 1) return String(start + 1);
  return `${count === 0 ? start : start + 1},${count}`;
}

/** Runs of edits with their context; runs whose contexts touch are one. */
function hunksOf(edits: readonly Edit[], context: number): [start: number, end: number][] {
  const hunks: [number, number][] = [];
  edits.forEach((edit, at) => {
    if (edit === ' ') return;
    const [start, end] = [Math.max(0, at - context), Math.min(edits.length, at + context + 1)];
    const last = hunks.at(-1);
    if (last && start <= last[1]) last[1] = end;
    else hunks.push([start, end]);
  });
  return hunks;
}

/** What to do with each line in turn: keep it, take it from the first, or add one of the second. */
export function editScript(a: readonly string[], b: readonly string[]): Edit[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (
    tail < Math.min(a.length, b.length) - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  ) {
    tail++;
  }
  const middle = shortestEdit(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  const keep = (count: number) => new Array<Edit>(count).fill(' ');
  return [...keep(head), ...middle, ...keep(tail)];
}

function shortestEdit(a: readonly string[], b: readonly string[]): Edit[] {
  const [n, m] = [a.length, b.length];
  const replaced = () => [...new Array<Edit>(n).fill('-'), ...new Array<Edit>(m).fill('+')];
  if (n === 0 || m === 0) return replaced();
  const most = Math.min(n + m, mostEdits);
  // furthest[k]: how far along `a` the diagonal k = x - y is reached; shifted so that k >= 0.
  const furthest = new Int32Array(2 * most + 3);
  const zero = most + 1;
  const trace: Int32Array[] = [];
  for (let d = 0; d <= most; d++) {
    // Round d needs the diagonals -d-1 to d+1 of the round before.
    trace.push(furthest.slice(zero - d - 1, zero + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && furthest[zero + k - 1]! < furthest[zero + k + 1]!);
      let x = down ? furthest[zero + k + 1]! : furthest[zero + k - 1]! + 1;
      while (x < n && x - k < m && a[x] === b[x - k]) x++;
      furthest[zero + k] = x;
      if (x >= n && x - k >= m) return backtrack(trace, n, m);
    }
  }
  return replaced();
}

/** Walks back from the end of both texts, one round at a time. */
function backtrack(trace: readonly Int32Array[], n: number, m: number): Edit[] {
  const edits: Edit[] = [];
  let [x, y] = [n, m];
  for (let d = trace.length - 1; d >= 0; d--) {
    const reached = (k: number) => trace[d]![k + d + 1]!;
    const k = x - y;
    const down = k === -d || (k !== d && reached(k - 1) < reached(k + 1));
    const from = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : reached(from);
    const fromY = d === 0 ? 0 : fromX - from;
    while (x > fromX && y > fromY) {
      edits.push(' ');
      x--;
      y--;
    }
    if (d > 0) edits.push(down ? '+' : '-');
    [x, y] = [fromX, fromY];
  }
  return edits.reverse();
}
