/**
 * What a model is scored for, and by which output: class labels, next tokens, or nothing but
 * agreement of numbers. Decided once from the ports and the first sample, then the same for all.
 */
import type { Sample } from '../data/dataset.js';
import type { HostTensor, PortInfo } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { dataTypes, elementCount } from '../onnx/data-type.js';
import type { SampleOutputs, SampleRunner } from './sample-runner.js';

export type TaskName = 'classification' | 'tokens' | 'generic';

export interface TaskOptions {
  /** Default: found out, see `chooseTask`. */
  readonly task?: TaskName | undefined;
  /** The output with the classes or token logits; default the first that has their shape. */
  readonly output?: string | undefined;
  /** The input with the token ids; default "input_ids", or the only integer input. */
  readonly tokens?: string | undefined;
}

export type Task =
  | { readonly name: 'classification'; readonly output: string; readonly classes: number }
  | {
      readonly name: 'tokens';
      readonly output: string;
      readonly input: string;
      readonly vocabulary: number;
    }
  | { readonly name: 'generic'; readonly output: string };

/**
 * Finds the task from the first sample and its outputs, per sample (without the batch):
 * - tokens: no label, an integer input [len], and a float output [len, vocabulary] whose
 *   vocabulary holds every id of the sample;
 * - classification: a float output with one axis longer than 1: [classes], [classes, 1, 1];
 * - generic: everything else.
 * The output is the first float output of rank 2 or more (with its batch) of that shape.
 *
 * Throws `usage` when a task is asked for that the outputs do not allow.
 */
export function chooseTask(
  runner: SampleRunner,
  sample: Sample,
  outputs: SampleOutputs,
  options: TaskOptions,
): Task {
  const candidates = candidateOutputs(runner, outputs, options.output);
  const tokenInput = findTokenInput(runner.dataPorts, sample, options.tokens);
  if (options.task === 'generic') return { name: 'generic', output: candidates[0]!.name };
  if (
    options.task !== 'classification' &&
    (options.task === 'tokens' || sample.label === undefined)
  ) {
    const task = tokenInput && asTokens(candidates, tokenInput, options.task === 'tokens');
    if (task) return task;
    if (options.task === 'tokens') throw unfit('tokens', '[len, vocabulary]', candidates);
  }
  for (const { name, tensor } of candidates) {
    if (isFloat(tensor) && isOneAxis(tensor.dims)) {
      return { name: 'classification', output: name, classes: elementCount(tensor.dims) };
    }
  }
  if (options.task === 'classification') throw unfit('classification', '[classes]', candidates);
  return { name: 'generic', output: candidates[0]!.name };
}

interface Candidate {
  readonly name: string;
  readonly tensor: HostTensor;
}

/** The chosen output, or all of them with floats first. */
function candidateOutputs(
  runner: SampleRunner,
  outputs: SampleOutputs,
  chosen: string | undefined,
): Candidate[] {
  const all = runner.outputs.map(({ name }) => ({ name, tensor: outputs[name]! }));
  if (chosen === undefined) {
    const rank = ({ tensor }: Candidate) =>
      isFloat(tensor) ? (tensor.dims.length > 0 ? 0 : 1) : 2;
    return all.sort((a, b) => rank(a) - rank(b));
  }
  const found = all.filter(({ name }) => name === chosen);
  if (found.length > 0) return found;
  throw new PareError('usage', `evaluate: "${runner.name}" has no output "${chosen}"`, {
    hint: `its outputs are ${all.map(({ name }) => `"${name}"`).join(', ')}`,
  });
}

interface TokenInput {
  readonly name: string;
  readonly ids: HostTensor;
}

function findTokenInput(
  ports: readonly PortInfo[],
  sample: Sample,
  chosen: string | undefined,
): TokenInput | undefined {
  const inputs = ports.flatMap(({ name }) => {
    const ids = sample.inputs[name] ?? (ports.length === 1 ? sample.inputs[''] : undefined);
    const isIds = ids && /^int(32|64)$/.test(ids.dataType) && ids.data.length > 0;
    return isIds ? [{ name, ids }] : [];
  });
  const byName = inputs.find(({ name }) => name === (chosen ?? 'input_ids'));
  if (byName) return byName;
  if (chosen !== undefined) {
    throw new PareError('usage', `evaluate: the data has no integer input "${chosen}"`, {
      hint: `its integer inputs are ${inputs.map(({ name }) => `"${name}"`).join(', ') || 'none'}`,
    });
  }
  return inputs.length === 1 ? inputs[0] : undefined;
}

function asTokens(
  candidates: readonly Candidate[],
  { name: input, ids }: TokenInput,
  asked: boolean,
): Task | undefined {
  for (const { name, tensor } of candidates) {
    const [length, vocabulary] = tensor.dims.slice(-2);
    const fits = isFloat(tensor) && tensor.dims.length >= 2 && length === ids.data.length;
    if (!fits || vocabulary === undefined || vocabulary < 2) continue;
    if (asked || idsFit(ids, vocabulary))
      return { name: 'tokens', output: name, input, vocabulary };
  }
  return undefined;
}

/** Hidden states have the shape of logits; but their width rarely exceeds every id. */
function idsFit(ids: HostTensor, vocabulary: number): boolean {
  return (ids.data as ArrayLike<number | bigint> as (number | bigint)[]).every(
    (id) => id >= 0 && id < vocabulary,
  );
}

/** [classes], [classes,1,1], [1,classes]: one axis longer than 1. */
function isOneAxis(dims: readonly number[]): boolean {
  return dims.filter((dim) => dim !== 1).length === 1 && !dims.includes(0);
}

function isFloat({ dataType }: HostTensor): boolean {
  return dataTypes[dataType].kind === 'float';
}

function unfit(task: TaskName, shape: string, candidates: readonly Candidate[]): PareError {
  const list = candidates.map(({ name, tensor }) => `"${name}" ${tensor.dataType}[${tensor.dims}]`);
  return new PareError(
    'usage',
    `evaluate: ${task} needs a float output of ${shape} per sample; the outputs are ${list.join(', ')}`,
    { hint: 'choose the output by name, or the task "generic"' },
  );
}
