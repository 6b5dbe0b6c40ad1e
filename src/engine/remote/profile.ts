/**
 * Sums the trace of ONNX Runtime's profiler up by node.
 * The format is Chrome's trace events: cat "Node", names that end in "_kernel_time", microseconds.
 */
import { PareError } from '../../errors.js';
import type { ProfileRow } from '../engine.js';

interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  /** Begin and duration in microseconds. */
  readonly ts: number;
  readonly dur: number;
  readonly args?: Readonly<Record<string, unknown>>;
}

const kernelSuffix = '_kernel_time';

/**
 * The table of a trace; the first run in it is the warm-up.
 * @param runs how many runs the trace must hold, the warm-up included
 */
export function readTrace(text: string, runs: number): ProfileRow[] {
  const events = JSON.parse(text) as TraceEvent[];
  const seen = events.filter(({ name }) => name === 'model_run').length;
  if (seen !== runs) {
    throw new PareError('engine', `profile: it holds ${seen} of ${runs} runs`, {
      hint: 'the profiler stops after a million events; profile fewer runs',
    });
  }
  return sumProfile(events);
}

/** One row per node in order of first execution, without the events of the first run. */
function sumProfile(events: readonly TraceEvent[]): ProfileRow[] {
  const runs = events.filter(({ name }) => name === 'model_run');
  const warm = Math.min(...runs.map(({ ts, dur }) => ts + dur));
  const rows = new Map<string, { -readonly [K in keyof ProfileRow]: ProfileRow[K] }>();
  for (const { cat, name, ts, dur, args = {} } of events) {
    if (cat !== 'Node' || !name.endsWith(kernelSuffix) || ts < warm) continue;
    const node = name.slice(0, -kernelSuffix.length);
    const opType = String(args.op_name ?? '');
    // Node names need not be unique, and the bodies of If and Loop count their nodes from 0 too.
    const key = JSON.stringify([node, opType, args.node_index]);
    const row = rows.get(key);
    if (row === undefined) {
      rows.set(key, {
        node,
        opType,
        provider: String(args.provider ?? ''),
        calls: 1,
        totalUs: dur,
        outputBytes: Number(args.output_size ?? 0),
        parameterBytes: Number(args.parameter_size ?? 0),
      });
    } else {
      row.calls += 1;
      row.totalUs += dur;
    }
  }
  return [...rows.values()];
}
