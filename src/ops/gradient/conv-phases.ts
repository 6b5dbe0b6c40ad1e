/**
 * The input gradient of a depthwise convolution with strides, by phases. The elements of x whose
 * place has the same remainder by the stride meet the same taps, so that each phase is a
 * convolution of dY with stride 1; all of them are one convolution with a channel per phase, and
 * a transpose puts them beside one another.
 *
 * ms of one thread, batch 32 as last axis, ConvTranspose of [N, C, H, W] / this: 16 channels of
 * 24x24 to 48x48 1.74 / 1.10, 32 of 12x12 0.84 / 0.36, 64 of 6x6 0.72 / 0.18.
 */
import type { Value } from '../../graph/value.js';
import { elementCount } from '../../onnx/data-type.js';
import type { GradientEmitter } from './rule.js';
import { tapsOf, type Window } from './window.js';

/** The phases of one axis: x[s i + p] = Σ over positions j of w[taps[p][j]] dY[i + low + j]. */
interface AxisPhases {
  readonly taps: readonly (readonly (number | undefined)[])[];
  readonly low: number;
  /** Places of each phase. */
  readonly count: number;
  /** Zeros behind dY. */
  readonly after: number;
}

/** Undefined where the windows do not fit: dilations, or dY that reaches beyond x. */
function phasesOf(window: Window, axis: number, from: number, to: number): AxisPhases | undefined {
  const [size, stride] = [window.kernel[axis]!, window.strides[axis]!];
  const begin = window.begins[axis]!;
  if (window.dilations[axis] !== 1) return undefined;
  const phases = Array.from({ length: stride }, (_, phase) => {
    const first = (phase + begin) % stride;
    const count = Math.max(0, Math.ceil((size - first) / stride));
    return { first, count, high: Math.floor((phase + begin) / stride) };
  });
  const high = Math.max(...phases.map((phase) => phase.high));
  const low = Math.min(high, ...phases.map((phase) => phase.high - phase.count + 1));
  const taps = phases.map((phase) =>
    Array.from({ length: high - low + 1 }, (_, position) => {
      const step = phase.high - low - position;
      return step >= 0 && step < phase.count ? phase.first + stride * step : undefined;
    }),
  );
  const count = Math.ceil(from / stride);
  const after = count - 1 + high - (to - 1);
  return low > 0 || after < 0 ? undefined : { taps, low, count, after };
}

export interface PhaseParts {
  /** dY [N, C, ...to]. */
  readonly dy: Value;
  /** [C, 1, ...kernel]. */
  readonly weight: Value;
  readonly channels: number;
  readonly window: Window;
  /** Spatial dims of x and dY. */
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** What writes the gradient [N, C, ...from]; undefined where it cannot be written so. */
export function byPhases(parts: PhaseParts): ((g: GradientEmitter) => Value) | undefined {
  const { dy, weight, channels, window, from, to } = parts;
  const { kernel, rank, strides } = window;
  const axes = kernel.map((_, axis) => phasesOf(window, axis, from[axis]!, to[axis]!));
  if (!axes.every((axis) => axis !== undefined)) return undefined;
  const sizes = axes.map(({ taps }) => taps[0]!.length);
  const taps = elementCount(kernel);
  const phases = tapsOf(strides);
  // Places in the kernel by phase and position; the one behind its end holds a zero.
  const places = phases.flatMap((phase) =>
    tapsOf(sizes).map((position) =>
      position.reduce<number>((place, at, axis) => {
        const tap = axes[axis]!.taps[phase[axis]!]![at];
        return tap === undefined || place === taps ? taps : place * kernel[axis]! + tap;
      }, 0),
    ),
  );
  return (g) => {
    const zero = g.constant(g.type, [channels, 1], new Array<number>(channels).fill(0));
    const flat = g.concat([g.reshape(weight, [channels, taps]), zero], 1);
    const chosen = g.op('Gather', [flat, g.ints(...places)], { axis: 1 });
    // A last axis that the kernel does not touch lengthens the rows of the one before it.
    const isJoined = rank > 1 && sizes[rank - 1] === 1 && strides[rank - 1] === 1;
    const inner = isJoined ? to[rank - 1]! : 1;
    const kept = axes.slice(0, isJoined ? -1 : undefined);
    const last = kept.length - 1;
    const wide = (numbers: readonly number[]) => numbers.with(last, numbers[last]! * inner);
    const map = isJoined
      ? g.reshape(dy, [0, channels, ...to.slice(0, last), to[last]! * inner])
      : dy;
    const result = g.op(
      'Conv',
      [map, g.reshape(chosen, [channels * phases.length, 1, ...sizes.slice(0, kept.length)])],
      {
        group: channels,
        dilations: wide(kept.map(() => 1)),
        pads: [...wide(kept.map(({ low }) => -low)), ...wide(kept.map(({ after }) => after))],
      },
    );
    const counts = axes.map(({ count }) => count);
    // Without axes of one element, which make transposes eight times as slow.
    const stepped = strides.flatMap((stride, axis) => (stride > 1 ? [axis] : []));
    const apart = g.reshape(result, [-1, ...stepped.map((axis) => strides[axis]!), ...counts]);
    const order = counts.flatMap((_, axis) => [
      1 + stepped.length + axis,
      ...(stepped.includes(axis) ? [1 + stepped.indexOf(axis)] : []),
    ]);
    const together = g.reshape(g.transpose(apart, [0, ...order]), [
      -1,
      channels,
      ...counts.map((count, axis) => count * strides[axis]!),
    ]);
    const cut = counts.flatMap((count, axis) =>
      count * strides[axis]! > from[axis]! ? [axis] : [],
    );
    if (cut.length === 0) return together;
    return g.slice(
      together,
      cut.map(() => 0),
      cut.map((axis) => from[axis]!),
      cut.map((axis) => axis + 2),
    );
  };
}
