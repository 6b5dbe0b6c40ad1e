/**
 * Runs the original and the pruned model on the same samples and sums up what the steps of one
 * level need, at the same seeded positions in both. Changes neither.
 */
import type { HostTensor } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { createMatMul } from '../../engine/matmul.js';
import { throwIfAborted } from '../../errors.js';
import { elementCount } from '../../onnx/data-type.js';
import { type PassContext, requireEngine } from '../../pass.js';
import { createRandom } from '../../random.js';
import { ChannelSums } from './channel-sums.js';
import { MomentSums } from './moments.js';
import type { LayerStep, NormalizationStep } from './plan.js';
import type { LevelRun, LevelWalk } from './walk.js';

/** Original indices that are left along an axis of a value; undefined for all of them. */
export type KeptIndices = (value: string, axis: number) => Int32Array | undefined;

export interface Observed {
  readonly layers: ReadonlyMap<LayerStep, MomentSums>;
  readonly normalizations: ReadonlyMap<NormalizationStep, ChannelSums>;
}

/**
 * Windows per layer: a multiple of its inputs, so that their covariance is known, and no fewer than
 * this. More did not change what the fit gives.
 */
const leastRows = 4096;
const rowsPerFeature = 12;

/** Names of what is read of the original, by level. */
export function targetsOf(
  steps: readonly (LayerStep | NormalizationStep)[],
): Map<number, Set<string>> {
  const found = new Map<number, Set<string>>();
  for (const step of steps) {
    const names = found.get(step.level) ?? new Set();
    found.set(step.level, names.add(targetOf(step)));
  }
  return found;
}

function targetOf(step: LayerStep | NormalizationStep): string {
  return step.kind === 'layer' ? step.target : step.node.input(0).name;
}

/**
 * @param steps those of one level, in front of which the pruned model is final
 */
export async function observe(
  { original, pruned, kept }: { original: LevelWalk; pruned: LevelWalk; kept: KeptIndices },
  steps: readonly (LayerStep | NormalizationStep)[],
  sampleCount: number,
  context: PassContext,
): Promise<Observed> {
  const engine = requireEngine(context, 'repair');
  const layers = new Map<LayerStep, MomentSums>();
  const normalizations = new Map<NormalizationStep, ChannelSums>();
  const inputs = new Set<string>();
  for (const step of steps) {
    inputs.add(step.kind === 'layer' ? step.layer.node.input(0).name : targetOf(step));
    if (step.kind === 'layer') {
      const { groups, features, outputs } = step.layer;
      layers.set(step, new MomentSums(groups, features, outputs));
      if (step.other !== undefined) inputs.add(step.other);
    } else normalizations.set(step, new ChannelSums());
  }
  const blas = createMatMul(engine);
  const { level } = steps[0]!;
  const random = createRandom(context.seed);
  const runs: LevelRun[] = [];
  try {
    const reference = await original.open(level, targetsOf(steps).get(level)!);
    runs.push(reference);
    const current = await pruned.open(level - 1, inputs);
    runs.push(current);
    for await (const feeds of context.samples!()) {
      throwIfAborted(context.signal);
      const before = await reference.values(feeds);
      const after = await current.values(feeds);
      for (const [step, sums] of layers) {
        const { layout, groups, features, outputs, node, axis } = step.layer;
        const input = after[node.input(0).name]!;
        const target = before[step.target]!;
        const other = step.other === undefined ? undefined : after[step.other]!;
        const positions = layout.positions(input);
        const rows = Math.max(leastRows, rowsPerFeature * features);
        const count = Math.min(positions, Math.ceil(rows / sampleCount));
        const x = new Float32Array(groups * features);
        const y = new Float32Array(groups * outputs);
        const at = axis < 0 ? target.dims.length + axis : axis;
        const indices = kept(step.target, at);
        for (let i = 0; i < count; i++) {
          const position = count === positions ? i : random.int(positions);
          layout.read(input, position, x, 0);
          readOutputs(target, at, position, indices, y);
          if (other) subtractOutputs(other, at, position, y);
          await sums.add(x, y, blas);
        }
      }
      for (const [{ node }, sums] of normalizations) {
        const { name } = node.input(0);
        sums.add(before[name]!, after[name]!, kept(name, 1));
      }
      for (const run of runs) run.free();
    }
    for (const sums of layers.values()) await sums.flush(blas);
  } finally {
    for (const run of runs) await run.release();
    await blas.release();
  }
  return { layers, normalizations };
}

/** Writes the outputs of a layer at one position, those that are left. */
function readOutputs(
  tensor: HostTensor,
  axis: number,
  position: number,
  indices: Int32Array | undefined,
  into: Float32Array,
): void {
  const values = float32Of(tensor);
  const inner = elementCount(tensor.dims.slice(axis + 1));
  const width = tensor.dims[axis]!;
  const start = Math.floor(position / inner) * width * inner + (position % inner);
  for (let o = 0; o < into.length; o++) into[o] = values[start + (indices?.[o] ?? o) * inner]!;
}

function subtractOutputs(
  tensor: HostTensor,
  axis: number,
  position: number,
  from: Float32Array,
): void {
  const values = float32Of(tensor);
  const inner = elementCount(tensor.dims.slice(axis + 1));
  const start = Math.floor(position / inner) * from.length * inner + (position % inner);
  for (let o = 0; o < from.length; o++) from[o]! -= values[start + o * inner]!;
}
