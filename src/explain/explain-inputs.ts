/**
 * Attributions of the inputs of a few samples, and how far they can be trusted. Chooses nothing but
 * how large what comes back is.
 */
import type { Feeds } from '../engine/engine.js';
import { throwIfAborted } from '../errors.js';
import { Attributor, type InputMethod } from './attribution.js';
import type { Faithfulness, InputAttribution } from './explanation.js';
import { type Trust, trustOf } from './infidelity.js';
import { short } from './preview.js';
import type { Subject } from './subject.js';

export interface AttributedSample {
  /** Index in the data. */
  readonly sample: number;
  readonly target: number;
  /** A batch of one. */
  readonly feeds: Feeds;
}

export interface InputsExplained {
  readonly inputs: readonly InputAttribution[];
  readonly trust: Faithfulness['inputs'];
}

const methods: readonly InputMethod[] = ['saliency', 'gradient-input', 'integrated-gradients'];
/** Gradient times input reports the slope that saliency does: their infidelity is one. */
const trusted: readonly InputMethod[] = ['saliency', 'integrated-gradients'];
const draws = 10;
/** Longest side of what is kept of a map, and of a signal. */
const mostPlaces = 64;
const mostTimes = 160;

export async function explainInputs(
  subject: Subject,
  samples: readonly AttributedSample[],
  steps: number,
  leaveOut: (what: string, reason: string) => void,
): Promise<InputsExplained> {
  const { context } = subject;
  const attributor = new Attributor(subject, subject.target);
  const task = context.progress.task('explain: inputs', samples.length);
  const inputs: InputAttribution[] = [];
  const tests = trusted.map((method) => ({ method, found: [] as Trust[] }));
  try {
    for (const [at, { sample, target, feeds }] of samples.entries()) {
      for (const method of methods) {
        throwIfAborted(context.signal);
        const { values, completenessError } = await attributor.input(feeds, target, method, {
          steps,
        });
        for (const [input, numbers] of values) {
          if (!numbers.every(Number.isFinite)) {
            leaveOut(`${method} of sample ${sample}`, 'its gradient is not a number everywhere');
            continue;
          }
          const kept = pool(numbers, feeds[input]!.dims.slice(1));
          inputs.push({ sample, target, method, input, ...kept, completenessError });
        }
      }
      for (const { method, found } of tests) {
        throwIfAborted(context.signal);
        const options = { steps, seed: context.seed, draws };
        const trust = await trustOf(attributor, feeds, target, method, options);
        if (Number.isFinite(trust.infidelity + trust.sensitivity)) found.push(trust);
      }
      task.update(at + 1);
    }
  } finally {
    task.end();
    await attributor.close();
  }
  return { inputs, trust: tests.flatMap(({ method, found }) => meanTrust(method, found)) };
}

function meanTrust(method: InputMethod, found: readonly Trust[]): Faithfulness['inputs'] {
  const samples = found.length;
  if (samples === 0) return [];
  const mean = (of: (trust: Trust) => number) =>
    found.reduce((sum, trust) => sum + of(trust), 0) / samples;
  const infidelity = mean((trust) => trust.infidelity);
  return [{ method, samples, infidelity, sensitivity: mean((trust) => trust.sensitivity) }];
}

/** Sums over blocks of the last two axes where these are long, so that the total stays. */
function pool(
  numbers: Float32Array,
  dims: readonly number[],
): Pick<InputAttribution, 'dims' | 'values'> {
  const [rows, columns] = dims.length > 1 ? dims.slice(-2) : [1, dims[0] ?? 1];
  const stepOf = (size: number) => Math.ceil(size / mostPlaces);
  const isSignal = dims.filter((dim) => dim > 1).length < 2;
  const down = isSignal ? 1 : stepOf(rows!);
  const across = isSignal ? Math.ceil(columns! / mostTimes) : stepOf(columns!);
  if (down === 1 && across === 1) return { dims, values: Array.from(numbers, short) };
  const [height, width] = [Math.ceil(rows! / down), Math.ceil(columns! / across)];
  const maps = numbers.length / (rows! * columns!);
  const sums = new Float64Array(maps * height * width);
  for (let at = 0; at < numbers.length; at++) {
    const column = at % columns!;
    const row = Math.floor(at / columns!) % rows!;
    const map = Math.floor(at / (rows! * columns!));
    sums[(map * height + Math.floor(row / down)) * width + Math.floor(column / across)]! +=
      numbers[at]!;
  }
  return { dims: [...dims.slice(0, -2), height, width], values: Array.from(sums, short) };
}
