/**
 * Whether an attribution of an input is true and steady. Source: Yeh et al., "On the (In)fidelity
 * and Sensitivity of Explanations" (2019):
 *   infidelity, definition 2.1: E over I of (sum_i I_i phi_i - (F(x) - F(x - I)))^2, with I normal
 *   noise of a tenth of the spread of the input, and phi the slope that the method reports;
 *   sensitivity, definition 3.1: the largest of |phi(x + d) - phi(x)| / |phi(x)| over d in a box of
 *   +-0.02 of the spread, drawn uniformly.
 */
import type { Feeds, HostTensor } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { createRandom, type Random } from '../random.js';
import type { Attributor, InputMethod, InputResult, PathOptions } from './attribution.js';

const noiseShare = 0.1;
const boxShare = 0.02;

export interface TrustOptions extends PathOptions {
  readonly seed: number;
  /** Perturbations per sample. */
  readonly draws: number;
}

/** Of one sample. */
export interface Trust {
  /** In squared logits. */
  readonly infidelity: number;
  /** Relative to the norm of the attribution. */
  readonly sensitivity: number;
}

export async function trustOf(
  attributor: Attributor,
  feeds: Feeds,
  class_: number,
  method: InputMethod,
  { seed, draws, ...path }: TrustOptions,
): Promise<Trust> {
  const random = createRandom(seed);
  const own = await attributor.input(feeds, class_, method, path);
  const names = [...own.slopes.keys()];
  const [logit] = await attributor.logits(feeds, class_);
  let infidelity = 0;
  let sensitivity = 0;
  for (let draw = 0; draw < draws; draw++) {
    const noise = perturbations(feeds, names, noiseShare, () => random.normal());
    const [moved] = await attributor.logits(minus(feeds, noise), class_);
    const product = names.reduce(
      (sum, name) => sum + dot(noise.get(name)!, own.slopes.get(name)!),
      0,
    );
    infidelity += (product - (logit! - moved!)) ** 2 / draws;
    const box = perturbations(feeds, names, boxShare, () => 2 * uniform(random) - 1);
    const near = await attributor.input(minus(feeds, box), class_, method, path);
    sensitivity = Math.max(sensitivity, relativeDistance(own, near));
  }
  return { infidelity, sensitivity };
}

const uniform = (random: Random) => random.next();

/** Noise in units of the spread (standard deviation) of each input. */
function perturbations(
  feeds: Feeds,
  names: readonly string[],
  share: number,
  draw: () => number,
): Map<string, Float32Array> {
  return new Map(
    names.map((name) => {
      const numbers = float32Of(feeds[name]!);
      const scale = share * spreadOf(numbers);
      return [name, numbers.map(() => scale * draw())];
    }),
  );
}

function spreadOf(numbers: Float32Array): number {
  const mean = numbers.reduce((a, b) => a + b, 0) / numbers.length;
  const square = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length;
  return Math.sqrt(square) || 1;
}

function minus(feeds: Feeds, noise: ReadonlyMap<string, Float32Array>): Feeds {
  const moved = Object.entries(feeds).map(([name, tensor]): [string, HostTensor] => {
    const own = noise.get(name);
    if (!own) return [name, tensor];
    return [
      name,
      hostTensor(
        'float',
        tensor.dims,
        float32Of(tensor).map((x, i) => x - own[i]!),
      ),
    ];
  });
  return Object.fromEntries(moved);
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0);
}

function relativeDistance(a: InputResult, b: InputResult): number {
  let difference = 0;
  let norm = 0;
  for (const [name, values] of a.values) {
    const others = b.values.get(name)!;
    values.forEach((value, i) => {
      difference += (value - others[i]!) ** 2;
      norm += value ** 2;
    });
  }
  return norm > 0 ? Math.sqrt(difference / norm) : 0;
}
