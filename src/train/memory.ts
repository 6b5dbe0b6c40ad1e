/**
 * How much memory a training run takes, from the shapes of its step model: before hours of work
 * end in a killed process. An estimate, within 20 % of the peak of four models (docs/training.md);
 * the samples that are kept decoded come on top.
 */
import type { Engine, Feeds, HostTensor, PortInfo } from '../engine/engine.js';
import { inferTypes } from '../engine/shapes.js';
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { modelToProto } from '../graph/to-proto.js';
import type { ValueType } from '../graph/value-type.js';
import { dataTypes } from '../onnx/data-type.js';
import { formatBytes } from '../report/format.js';
import type { TrainingStep } from './step.js';

export interface MemoryEstimate {
  /** Weights and optimizer state: as the host holds them, as they go in, and as they come out. */
  readonly stateBytes: number;
  /** The same once. */
  readonly ownBytes: number;
  /** Most bytes of other values that are alive at once in one step. */
  readonly activationBytes: number;
  /** The best weights so far. */
  readonly bestBytes: number;
  /** Of the process with the runtime, pare and the sessions that prepare the step. */
  readonly baseBytes: number;
  readonly totalBytes: number;
  /** Values whose size is not known from the shapes; they count nothing. */
  readonly unknownValues: number;
}

/** Measured: what was resident at the peak beyond the sum of the tensors, 201 to 256 MB. */
const baseBytes = 235e6;

/** @param feeds one batch, which gives the open dims of the inputs their numbers */
export async function estimateMemory(
  step: TrainingStep,
  ports: readonly PortInfo[],
  feeds: Feeds,
  engine: Engine,
  signal?: AbortSignal,
): Promise<MemoryEstimate> {
  const dims = symbolsOf(ports, feeds);
  const { types } = await inferTypes(engine, modelToProto(step.inner), { dims, signal });
  let own = 0;
  for (const tensor of step.state.values()) own += bytesOfTensor(tensor);
  let bestBytes = 0;
  for (const input of step.results.values()) bestBytes += bytesOfTensor(step.state.get(input)!);
  const { peakBytes, unknownValues } = peakOf(step.inner, types, new Set(step.next.values()));
  const stateBytes = 3 * own;
  return {
    stateBytes,
    ownBytes: own,
    activationBytes: peakBytes,
    bestBytes,
    baseBytes,
    totalBytes: baseBytes + stateBytes + bestBytes + peakBytes,
    unknownValues,
  };
}

/**
 * Whether several steps in one call are faster, see StepRunner: where weights and their state are
 * large beside the activations.
 */
export function severalStepsPay({ ownBytes, activationBytes }: MemoryEstimate): boolean {
  return ownBytes > activationBytes / 8;
}

/** Throws `unsupported` with advice when the estimate is above the limit. */
export function checkMemory(
  { totalBytes, stateBytes, activationBytes }: MemoryEstimate,
  limitBytes: number,
  batchSize: number,
): void {
  if (totalBytes <= limitBytes) return;
  const byBatch = activationBytes > stateBytes && batchSize > 1;
  throw new PareError(
    'unsupported',
    `train: needs about ${formatBytes(totalBytes)} of memory (${formatBytes(stateBytes)} for weights and optimizer state, ${formatBytes(activationBytes)} for the activations of a batch of ${batchSize}), and there are ${formatBytes(limitBytes)}`,
    {
      hint: byBatch
        ? `lower --batch-size, for example to ${Math.max(1, Math.floor(batchSize / 4))}`
        : 'freeze parts of the model with --freeze, train adapters alone (--lora 8), or take --optimizer sgd, which keeps less state',
    },
  );
}

/** Numbers of the symbolic dims, as one batch has them. */
function symbolsOf(ports: readonly PortInfo[], feeds: Feeds): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { name, dims = [] } of ports) {
    for (const [at, dim] of dims.entries()) {
      const number = feeds[name]?.dims[at];
      if (typeof dim === 'string' && dim !== '' && number !== undefined) found[dim] = number;
    }
  }
  return found;
}

/** Every value lives from the node that makes it to the last one that reads it. */
function peakOf(
  { graph }: Model,
  types: ReadonlyMap<string, ValueType>,
  kept: ReadonlySet<string>,
): { readonly peakBytes: number; readonly unknownValues: number } {
  const nodes = [...graph.nodes];
  const lastUse = new Map<string, number>();
  for (const [at, { inputs }] of nodes.entries()) {
    for (const input of inputs) if (input?.producer) lastUse.set(input.name, at);
  }
  const ends = new Map<number, number>();
  let alive = 0;
  let peakBytes = 0;
  let unknownValues = 0;
  for (const [at, { outputs }] of nodes.entries()) {
    for (const output of outputs) {
      // What the next step starts from is counted as state.
      if (!output || kept.has(output.name)) continue;
      const bytes = bytesOfType(types.get(output.name));
      if (bytes === undefined) {
        unknownValues++;
        continue;
      }
      alive += bytes;
      const end = output.isOutput ? nodes.length : (lastUse.get(output.name) ?? at);
      ends.set(end, (ends.get(end) ?? 0) + bytes);
    }
    peakBytes = Math.max(peakBytes, alive);
    alive -= ends.get(at) ?? 0;
  }
  return { peakBytes, unknownValues };
}

function bytesOfType(type: ValueType | undefined): number | undefined {
  if (type?.kind !== 'tensor' || !type.dims || !type.dataType) return undefined;
  let elements = 1;
  for (const dim of type.dims) {
    if (typeof dim !== 'number') return undefined;
    elements *= dim;
  }
  return (elements * dataTypes[type.dataType].bits) / 8;
}

function bytesOfTensor({ data }: HostTensor): number {
  return ArrayBuffer.isView(data) ? data.byteLength : 0;
}
