/**
 * Runs the original and the pruned model on the same samples and sums up what the steps of one
 * level need, at the same seeded positions in both. Changes neither.
 */
import type { EngineSession, Feeds, HostTensor } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { createMatMul } from '../../engine/matmul.js';
import { modelSource } from '../../engine/model-source.js';
import { throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import { removeDead } from '../../graph/dead.js';
import type { Model } from '../../graph/model.js';
import { elementCount } from '../../onnx/data-type.js';
import { type PassContext, requireEngine } from '../../pass.js';
import { createRandom } from '../../random.js';
import { ChannelSums } from './channel-sums.js';
import { MomentSums } from './moments.js';
import type { LayerStep, NormalizationStep } from './plan.js';

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

export async function observe(
  { original, pruned, kept }: { original: Model; pruned: Model; kept: KeptIndices },
  steps: readonly (LayerStep | NormalizationStep)[],
  sampleCount: number,
  context: PassContext,
): Promise<Observed> {
  const engine = requireEngine(context, 'repair');
  const layers = new Map<LayerStep, MomentSums>();
  const normalizations = new Map<NormalizationStep, ChannelSums>();
  const wanted = { original: new Set<string>(), pruned: new Set<string>() };
  for (const step of steps) {
    if (step.kind === 'layer') {
      const { groups, features, outputs, node } = step.layer;
      layers.set(step, new MomentSums(groups, features, outputs));
      wanted.original.add(step.target);
      wanted.pruned.add(node.input(0).name);
      if (step.other !== undefined) wanted.pruned.add(step.other);
    } else {
      const { name } = step.node.input(0);
      normalizations.set(step, new ChannelSums());
      wanted.original.add(name);
      wanted.pruned.add(name);
    }
  }
  const blas = createMatMul(engine);
  const sessions: EngineSession[] = [];
  const open = async (model: Model, names: ReadonlySet<string>) => {
    const part = await partOf(model, names);
    const session = part && (await engine.createSession(part, { optimization: 'basic' }));
    if (session) sessions.push(session);
    return session;
  };
  const random = createRandom(context.seed);
  try {
    const reference = await open(original, wanted.original);
    const current = await open(pruned, wanted.pruned);
    for await (const feeds of context.samples!()) {
      throwIfAborted(context.signal);
      const before = { ...feeds, ...(await runPart(reference, feeds)) };
      const after = { ...feeds, ...(await runPart(current, feeds)) };
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
    }
    for (const sums of layers.values()) await sums.flush(blas);
  } finally {
    for (const session of sessions) await session.release();
    await blas.release();
  }
  return { layers, normalizations };
}

/** The nodes that lead to these values; undefined where all of them are inputs of the graph. */
async function partOf(model: Model, names: ReadonlySet<string>) {
  const copy = cloneModel(model);
  const { graph } = copy;
  const made = [...names].map((name) => graph.value(name)).filter((value) => value.producer);
  if (made.length === 0) return undefined;
  graph.outputs.splice(0, graph.outputs.length, ...made);
  removeDead(graph);
  return modelSource(copy);
}

async function runPart(session: EngineSession | undefined, feeds: Feeds) {
  if (!session) return {};
  const used = session.inputs.flatMap(({ name }) => {
    const feed = feeds[name];
    return feed ? [[name, feed] as const] : [];
  });
  return session.run(Object.fromEntries(used));
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
