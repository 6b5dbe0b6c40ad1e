/**
 * Runs several models on the same samples and compares their outputs with those of the first.
 * Memory is that of one sample's outputs.
 */
import type { Engine, Feeds, HostTensor } from '../../engine/engine.js';
import { float32Of, sameShape } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError, throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';

export interface Deviation {
  /** sum (y - y0)^2 / sum y0^2 over all outputs and samples. */
  readonly energy: number;
  /** Largest |y - y0| of any output by the largest |y0| of the same. */
  readonly peak: number;
}

/**
 * How far `other` is from `reference`. Throws `invalid-data` without a sample, `data-mismatch`
 * for outputs of other shapes.
 */
export async function deviation(
  engine: Engine,
  reference: Model,
  other: Model,
  samples: AsyncIterable<Feeds> | Iterable<Feeds>,
  signal?: AbortSignal,
): Promise<Deviation> {
  const sessions = [];
  const totals = new Map<string, Sums>();
  try {
    for (const model of [reference, other]) {
      sessions.push(await engine.createSession(await modelSource(model)));
    }
    for await (const feeds of samples) {
      throwIfAborted(signal);
      const expected = await sessions[0]!.run(feeds, undefined, { signal });
      const found = await sessions[1]!.run(feeds, undefined, { signal });
      for (const [name, tensor] of Object.entries(expected)) {
        const sums = totals.get(name) ?? { signal: 0, noise: 0, peak: 0, worst: 0 };
        totals.set(name, addTo(sums, name, tensor, found[name]!));
      }
    }
  } finally {
    for (const session of sessions) await session.release();
  }
  if (totals.size === 0) throw new PareError('invalid-data', 'prune-depth: there is no sample');
  let [noise, total, peak] = [0, 0, 0];
  for (const sums of totals.values()) {
    noise += sums.noise;
    total += sums.signal;
    peak = Math.max(peak, ratio(sums.worst, sums.peak));
  }
  return { energy: ratio(noise, total), peak };
}

interface Sums {
  readonly signal: number;
  readonly noise: number;
  readonly peak: number;
  readonly worst: number;
}

function addTo(sums: Sums, name: string, expected: HostTensor, found: HostTensor): Sums {
  if (!sameShape(expected, found)) {
    throw new PareError(
      'data-mismatch',
      `prune-depth: output "${name}" is [${found.dims}] and was [${expected.dims}]`,
    );
  }
  const [a, b] = [float32Of(expected), float32Of(found)];
  let { signal, noise, peak, worst } = sums;
  for (let i = 0; i < a.length; i++) {
    const [x, error] = [a[i]!, Math.abs(b[i]! - a[i]!)];
    // Equal infinities, as masks have them, differ by nothing.
    if (b[i] === x) {
      if (Number.isFinite(x)) signal += x * x;
      continue;
    }
    signal += x * x;
    noise += error * error;
    if (!(Math.abs(x) <= peak)) peak = Math.abs(x);
    if (!(error <= worst)) worst = error;
  }
  for (const x of a) if (Number.isFinite(x) && Math.abs(x) > peak) peak = Math.abs(x);
  return { signal, noise, peak, worst };
}

function ratio(a: number, b: number): number {
  return a === 0 ? 0 : a / b;
}
