/**
 * The four numbers of a report's first screen, before and after, each with its uncertainty, and
 * the promise. Converts, measures nothing.
 */
import type { BenchRow } from '../../measure/bench.js';
import { snrOf, worstOutput } from '../../measure/compare-outputs.js';
import type { Evaluation } from '../../measure/evaluation.js';
import { qualityOf } from '../../optimize/measuring.js';
import { brokenLimits, promiseText, type QualityPromise } from '../../optimize/promise.js';
import type { Figure, ModelFacts, Summary } from '../data/summary.js';
import { formatInteger } from '../format.js';

export interface SummaryParts {
  readonly models: readonly ModelFacts[];
  /** The first model's row first; null where it was not timed. */
  readonly bench: readonly BenchRow[] | null;
  readonly evaluations: readonly Evaluation[] | null;
  /** Whether the command was given data. */
  readonly hasData: boolean;
  readonly promise: QualityPromise | null;
  readonly outcome: string;
}

/** Compares the first model with the last one; with one model there is no after. */
export function summaryOf(parts: SummaryParts): Summary {
  const { models, bench, evaluations, hasData, promise, outcome } = parts;
  const after = models.length > 1 ? models.at(-1) : undefined;
  const rowOf = ({ name }: ModelFacts) => bench?.find(({ model }) => model === name);
  const evaluationOf = ({ name }: ModelFacts) => evaluations?.find(({ model }) => model === name);
  const pair = <T>(of: (model: ModelFacts) => T) => [of(models[0]!), after && of(after)] as const;
  return {
    outcome,
    figures: [
      sizeFigure(models[0]!, after),
      latencyFigure(...pair(rowOf)),
      memoryFigure(...pair(rowOf)),
      qualityFigure(hasData, ...pair(evaluationOf)),
    ],
    promise: promise && promiseOf(promise, after && evaluationOf(after)),
  };
}

function promiseOf(promise: QualityPromise, evaluation: Evaluation | undefined) {
  if (!evaluation) return null;
  const broken = brokenLimits(promise, qualityOf(evaluation));
  return { text: promiseText(promise), kept: broken.length === 0, broken };
}

const exactly = (value: number) => ({ value, interval: null, exact: true });

function sizeFigure(before: ModelFacts, after: ModelFacts | undefined): Figure {
  return {
    ...{ name: 'size', measure: 'the file with its external data', unit: 'bytes' },
    before: exactly(before.bytes),
    after: after ? exactly(after.bytes) : null,
    spread: null,
    change: after ? times(before.bytes / after.bytes, null, 'smaller', 'larger') : null,
    note: null,
  };
}

function times(
  ratio: number,
  interval: readonly [number, number] | null,
  better: string,
  worse: string,
): Figure['change'] {
  // 1.004 and its like read as 1.00 times, which is no change that anybody would name.
  if (Math.abs(ratio - 1) < 0.005)
    return { kind: 'times', value: ratio, interval: mutable(interval), word: 'as before' };
  const isBetter = ratio > 1;
  return {
    kind: 'times',
    value: isBetter ? ratio : 1 / ratio,
    interval:
      interval && (isBetter ? [interval[0], interval[1]] : [1 / interval[1], 1 / interval[0]]),
    word: isBetter ? better : worse,
  };
}

function mutable(interval: readonly [number, number] | null): [number, number] | null {
  return interval && [interval[0], interval[1]];
}

function latencyFigure(before: BenchRow | undefined, after: BenchRow | undefined): Figure {
  const measured = (row: BenchRow | undefined) =>
    row
      ? { value: row.medianMs, interval: [row.p10Ms, row.p90Ms] as [number, number], exact: false }
      : null;
  const threads = before?.threads === 1 ? 'one thread' : `${before?.threads} threads`;
  const { ratio, interval = null } = after?.speedUp ?? {};
  return {
    ...{ name: 'latency', unit: 'ms' },
    measure: before ? `median of ${before.rounds} runs, ${threads}` : 'one run',
    before: measured(before),
    after: measured(after),
    spread: '10th to 90th percentile',
    change: ratio === undefined ? null : times(ratio, interval, 'faster', 'slower'),
    note: before ? null : 'not measured',
  };
}

function memoryFigure(before: BenchRow | undefined, after: BenchRow | undefined): Figure {
  const [a, b] = [before?.memory?.peakBytes, after?.memory?.peakBytes];
  return {
    ...{ name: 'memory', unit: 'bytes' },
    measure: 'peak of a process that runs the model, one sample',
    before: a === undefined ? null : exactly(a),
    after: b === undefined ? null : exactly(b),
    spread: null,
    change:
      a === undefined || b === undefined
        ? null
        : {
            kind: 'percent',
            value: Math.abs(100 * (b / a - 1)),
            interval: null,
            word: b <= a ? 'less' : 'more',
          },
    note:
      a === undefined
        ? 'not measured'
        : `${formatInteger(Math.round(before!.memory!.baselineBytes / 1e6))} MB of it are the runtime's before the model is loaded; measured once`,
  };
}

function qualityFigure(
  hasData: boolean,
  before: Evaluation | undefined,
  after?: Evaluation | undefined,
): Figure {
  const none = { name: 'quality', before: null, after: null, spread: null, change: null } as const;
  if (!before) {
    const reason = hasData ? 'no samples were evaluated' : 'no data';
    return { ...none, measure: 'on data', unit: 'share', note: `not measured: ${reason}` };
  }
  const score = scoreOf(before);
  if (score) {
    const { drop } = after ?? {};
    return {
      ...none,
      measure: `${score.name} on ${formatInteger(score.rate.n)} ${score.of}`,
      unit: 'share',
      before: rateFigure(score.rate),
      after: after ? rateFigure(scoreOf(after)!.rate) : null,
      spread: '95 % interval',
      change: drop ? dropChange(drop) : null,
      note: flipsNote(after),
    };
  }
  const worst = after && worstOutput(after.outputs)?.agreement;
  const snr = worst ? snrOf(worst) : undefined;
  return {
    ...none,
    measure: `agreement with the original on ${formatInteger(before.samples)} samples`,
    unit: 'dB',
    after: snr !== undefined && Number.isFinite(snr) ? exactly(snr) : null,
    note: worst?.exact ? 'the outputs are equal' : flipsNote(after),
  };
}

function scoreOf({ classification, tokens }: Evaluation) {
  const { top1 } = classification ?? {};
  if (top1) return { name: 'top-1', rate: top1, of: 'samples' };
  return tokens ? { name: 'next token', rate: tokens.nextToken, of: 'tokens' } : undefined;
}

function rateFigure({ share, interval }: { share: number; interval: readonly [number, number] }) {
  return { value: share, interval: [interval[0], interval[1]] as [number, number], exact: false };
}

/** 97.5 % point of the standard normal distribution. */
const z = 1.959963984540054;

function dropChange({ points, standardError }: { points: number; standardError: number }) {
  const bounds = [points - z * standardError, points + z * standardError].sort((a, b) => a - b);
  const isLoss = points >= 0;
  const interval = isLoss ? bounds : [-bounds[1]!, -bounds[0]!];
  return {
    kind: 'points' as const,
    value: Math.abs(points),
    // Samples that no model tells apart have no spread, which is no certainty.
    interval: standardError > 0 ? ([interval[0]!, interval[1]!] as [number, number]) : null,
    word: isLoss ? 'lost' : 'gained',
  };
}

function flipsNote(after: Evaluation | undefined): string | null {
  if (!after?.flips) return null;
  const { count, n } = after.flips;
  return `${formatInteger(count)} of ${formatInteger(n)} predictions changed`;
}
