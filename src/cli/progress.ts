/**
 * Progress on stderr: a bar that is redrawn on a terminal, a plain line now and then elsewhere.
 * Tasks nest; the innermost one that has run long enough is shown, with its parents before it.
 */
import type { Progress, ProgressTask } from '../progress.js';
import { bar } from '../report/bars.js';
import { formatClock, formatInteger } from '../report/format.js';
import { displayWidth, printable, truncateMiddle } from '../report/text.js';
import type { Clock } from './host.js';
import { RateMeter } from './rate-meter.js';
import type { StatusLine } from './status-line.js';
import type { Terminal } from './terminal.js';

/** A task that ends sooner is never shown. */
const delayMs = 2000;
/** At most ten drawings a second. */
const redrawMs = 100;
/** Between the lines of a log file. */
const plainMs = 10_000;
const barColumns = 20;
/** A shorter detail says nothing. */
const leastDetail = 8;

export interface ProgressParts {
  readonly line: StatusLine;
  readonly terminal: Terminal;
  readonly clock: Clock;
}

interface OpenTask {
  readonly label: string;
  readonly total: number | undefined;
  readonly startedAt: number;
  readonly rate: RateMeter;
  done: number;
  detail: string;
}

/** `close` takes the line away, whatever is still open. */
export interface ClosableProgress extends Progress {
  close(): void;
}

export function createProgress({ line, terminal, clock }: ProgressParts): ClosableProgress {
  const open: OpenTask[] = [];
  let drawnAt = Number.NEGATIVE_INFINITY;
  let stopTimer: (() => void) | undefined;

  const draw = () => {
    const now = clock.now();
    if (now - drawnAt < (terminal.animate ? redrawMs : plainMs)) return;
    const index = open.findLastIndex((task) => now - task.startedAt >= delayMs);
    if (index < 0) {
      line.clear();
      return;
    }
    drawnAt = now;
    const parents = open.slice(0, index);
    if (terminal.animate) line.show(animated(open[index]!, parents, now, terminal));
    else line.print(plain(open[index]!, parents, now));
  };

  const end = (task: OpenTask) => {
    const index = open.indexOf(task);
    if (index < 0) return;
    open.splice(index, 1);
    if (open.length > 0) return;
    stopTimer?.();
    stopTimer = undefined;
    line.clear();
  };

  return {
    task(label: string, total?: number): ProgressTask {
      const startedAt = clock.now();
      const task: OpenTask = {
        label,
        total,
        startedAt,
        rate: new RateMeter(startedAt),
        done: 0,
        detail: '',
      };
      open.push(task);
      // A plain line comes after a wait too, so that short tasks leave no trace in a log.
      if (!terminal.animate && !stopTimer) drawnAt = startedAt;
      stopTimer ??= clock.every(redrawMs, draw);
      return {
        update(done, detail = '') {
          task.done = done;
          task.detail = detail;
          task.rate.update(done, clock.now());
          // Work that never yields leaves no time for the timer.
          draw();
        },
        end: () => end(task),
      };
    },
    close() {
      open.length = 0;
      stopTimer?.();
      stopTimer = undefined;
      line.clear();
    },
  };
}

function animated(
  task: OpenTask,
  parents: readonly OpenTask[],
  now: number,
  terminal: Terminal,
): string {
  const { unicode } = terminal.style;
  const words = [...parents.map(asParent), task.label];
  if (task.total !== undefined && task.total > 0) {
    const cells = bar(task.done / task.total, barColumns, { unicode, rest: unicode ? '░' : '.' });
    words.push(unicode ? cells : `[${cells}]`);
  }
  words.push(...figures(task, now));
  const text = words.join(' ');
  // The figures stay whole; the detail takes what is left of the line.
  const room = (terminal.width ?? 80) - displayWidth(text) - 2;
  if (task.detail === '' || room < leastDetail) return text;
  const ellipsis = unicode ? '…' : '...';
  return `${text} ${truncateMiddle(printable(task.detail), room, ellipsis)}`;
}

function plain(task: OpenTask, parents: readonly OpenTask[], now: number): string {
  const name = [...parents.map(asParent), task.label].join(' ');
  return `${name}: ${figures(task, now).join(' ')}`;
}

function figures(task: OpenTask, now: number): string[] {
  const { done, total } = task;
  const elapsed = formatClock(now - task.startedAt);
  if (total === undefined || total <= 0) {
    return done > 0 ? [formatInteger(done), elapsed] : [elapsed];
  }
  const percent = Math.min(100, Math.floor((done / total) * 100));
  const words = [`${formatInteger(done)}/${formatInteger(total)}`, `${percent} %`, elapsed];
  const left = task.rate.remainingMs(total, now);
  if (left !== undefined) words.push(`ETA ${formatClock(left)}`);
  return words;
}

function asParent({ label, done, total }: OpenTask): string {
  return total === undefined || total <= 0
    ? `${label} >`
    : `${label} ${formatInteger(Math.min(done + 1, total))}/${formatInteger(total)} >`;
}
