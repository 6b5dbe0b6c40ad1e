/**
 * Which values of a student are compared with what: outputs with those of the teacher, or with
 * labels. Probabilities are followed back to their logits.
 */
import { PareError } from '../errors.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { dataTypes } from '../onnx/data-type.js';
import { probabilityFormOf } from '../ops/probabilities.js';
import { formatPercent } from '../report/format.js';
import type { LossTerm } from './append-loss.js';
import type { FinetuneOptions } from './finetune-options.js';
import type { LabelInput } from './label-target.js';
import { mixedShare } from './mixtures.js';

export interface LossPlan {
  readonly terms: readonly LossTerm[];
  /** What the step compares with values of the teacher. */
  readonly teacher: readonly TeacherTarget[];
  readonly label: LabelInput | undefined;
}

/** An input of the step, and the value of the teacher that it takes: an output, or a hidden one. */
export type TeacherTarget = { readonly input: string } & (
  | { readonly output: OutputValue }
  | { readonly value: string; readonly channels?: ChosenChannels | undefined }
);

/** Those of a value that are compared, in the order of the student's. */
export interface ChosenChannels {
  readonly axis: number;
  readonly indices: readonly number[];
}

/** An output of a model, or the logits that it is made of. */
export interface OutputValue {
  /** Position among the outputs of the model. */
  readonly index: number;
  readonly isLogits: boolean;
}

export interface LossSources {
  readonly hasTeacher: boolean;
  readonly hasLabels: boolean;
}

/** Names of the inputs that a step gets for its targets. */
const labelInput = 'target/label';
const teacherInput = (index: number) => `target/teacher_${index}`;

/**
 * @param model with the types of its values (see inferShapes)
 * @throws PareError `usage` for a loss that needs a teacher or labels that are not there
 */
export function planLosses(
  model: Model,
  options: FinetuneOptions,
  { hasTeacher, hasLabels }: LossSources,
): LossPlan {
  const outputs = floatOutputs(model);
  const loss =
    options.loss === 'auto' ? (hasTeacher ? 'distillation' : 'cross-entropy') : options.loss;
  const byLabel = loss === 'cross-entropy' ? 1 : options.labelShare;
  if (byLabel > 0 && !hasLabels) {
    throw new PareError(
      'usage',
      `finetune: ${loss === 'cross-entropy' ? 'cross-entropy' : '--label-share'} needs labels, and the data has none`,
      {
        hint: hasTeacher
          ? 'leave out --loss and --label-share to learn from the teacher'
          : 'give --teacher ORIGINAL to learn from its outputs instead',
      },
    );
  }
  if (byLabel < 1 && !hasTeacher) {
    throw new PareError('usage', `finetune: ${loss} compares with a teacher, and none is given`, {
      hint: 'give --teacher ORIGINAL, or --loss cross-entropy with labelled data',
    });
  }
  checkMixtures(options);
  const terms: LossTerm[] = [];
  const teacher: TeacherTarget[] = [];
  if (byLabel < 1) {
    for (const { value, index } of outputs) {
      const term = teacherTerm(loss, value, index, options);
      terms.push({ ...term, weight: (1 - byLabel) / outputs.length });
      const isLogits = term.output !== value.name;
      teacher.push({ input: term.target, output: { index, isLogits } });
    }
  }
  if (byLabel === 0) return { terms, teacher, label: undefined };
  const { term, classes } = labelTerm(outputs[0]!.value, options);
  terms.push({ ...term, weight: byLabel });
  return { terms, teacher, label: { input: labelInput, classes } };
}

/** Between the samples of a batch of one there is nothing, and there are no more than all of them. */
function checkMixtures(options: FinetuneOptions): void {
  const share = mixedShare(options);
  if (share > 1 + 1e-9) {
    const { mixup, cutmix } = options;
    throw new PareError(
      'usage',
      `finetune: ${formatPercent(mixup)} mixup and ${formatPercent(cutmix)} cutmix are more than all samples`,
      { hint: 'a sample is mixed in one way: let both add up to 100 % or less' },
    );
  }
  if (share === 0 || options.batchSize > 1) return;
  throw new PareError(
    'usage',
    'finetune: mixtures take two samples of a batch, and a batch has 1',
    { hint: 'raise --batch-size, or leave out --mixup and --cutmix' },
  );
}

/** The value of the teacher that an input of the step takes. */
export function valueOfTarget(model: Model, target: TeacherTarget): Value {
  if ('output' in target) return valueOfOutput(model, target.output);
  const value = model.graph.value(target.value);
  return target.channels ? chosen(value, target.channels) : value;
}

function chosen(value: Value, { axis, indices }: ChosenChannels): Value {
  const e = new Emitter(value.graph, { scope: 'teacher' });
  const part = e.op('Gather', [value, e.ints(...indices)], { axis });
  part.type = tensorType(
    value.dataType!,
    value.dims!.map((dim, at) => (at === axis ? indices.length : dim)),
  );
  return part;
}

/** The value that stands for an output: the output, or its logits. */
function valueOfOutput(model: Model, { index, isLogits }: OutputValue): Value {
  const output = model.graph.outputs[index];
  const form = output?.producer && probabilityFormOf(output.producer);
  if (output && !isLogits) return output;
  if (output && form) return output.producer!.input(form.logits);
  throw new PareError(
    'unsupported',
    `finetune: output ${index} of the teacher is ${output ? 'no probability' : 'not there'}, that of the student is`,
    { hint: 'student and teacher must have the same outputs' },
  );
}

function floatOutputs(model: Model): { value: Value; index: number }[] {
  const found = model.graph.outputs
    .map((value, index) => ({ value, index }))
    .filter(({ value }) => value.dataType && dataTypes[value.dataType].kind === 'float');
  if (found.length > 0) return found;
  throw new PareError('unsupported', 'finetune: the model has no output of floats to learn by');
}

/** Classes are compared as distributions, along the axis that a Softmax names, else the last. */
function teacherTerm(
  loss: string,
  value: Value,
  index: number,
  { temperature }: FinetuneOptions,
): LossTerm {
  const target = teacherInput(index);
  if (loss !== 'distillation') return { loss, output: value.name, target };
  const { logits, axis } = logitsOf(value);
  return { loss, output: logits.name, target, options: { temperature, axis } };
}

/** Class numbers; with mixtures the shares of all classes. */
function labelTerm(value: Value, options: FinetuneOptions) {
  const isMixed = mixedShare(options) > 0;
  const { logits, axis } = logitsOf(value);
  const rank = logits.dims?.length;
  if (rank !== 2) {
    throw new PareError(
      'unsupported',
      `finetune: labels are class numbers, and the output has ${rank ?? 'unknown'} dims, not [batch, classes]`,
      { tensor: value.name, hint: 'learn from a teacher: give --teacher ORIGINAL' },
    );
  }
  const term: LossTerm = {
    loss: isMixed ? 'soft-cross-entropy' : 'cross-entropy',
    output: logits.name,
    target: labelInput,
    options: { labelSmoothing: options.labelSmoothing, axis },
  };
  if (!isMixed) return { term, classes: undefined };
  const classes = logits.dims?.[1];
  if (typeof classes === 'number') return { term, classes };
  throw new PareError(
    'unsupported',
    'finetune: mixtures with labels have a share of every class, and the output does not say how many there are',
    { tensor: value.name, hint: 'learn from the teacher alone, or leave out --mixup and --cutmix' },
  );
}

function logitsOf(value: Value): { logits: Value; axis: number } {
  const form = value.producer && probabilityFormOf(value.producer);
  if (!form) return { logits: value, axis: -1 };
  return { logits: value.producer!.input(form.logits), axis: form.axis(value.producer!) };
}
