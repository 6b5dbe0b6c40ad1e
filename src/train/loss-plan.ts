/**
 * Which values of a student are compared with what: outputs with those of the teacher, or with
 * labels. Probabilities are followed back to their logits.
 */
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';
import { probabilityFormOf } from '../ops/probabilities.js';
import type { LossTerm } from './append-loss.js';
import type { FinetuneOptions } from './finetune-options.js';

export interface LossPlan {
  readonly terms: readonly LossTerm[];
  /** What the step compares with values of the teacher. */
  readonly teacher: readonly TeacherTarget[];
  /** The input that takes the class numbers. */
  readonly label: string | undefined;
}

/** An input of the step, and the value of the teacher that it takes: an output, or a hidden one. */
export type TeacherTarget = { readonly input: string } & (
  | { readonly output: OutputValue }
  | { readonly value: string }
);

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
  refuseMixedLabels(options, byLabel);
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
  if (byLabel > 0) terms.push({ ...labelTerm(outputs[0]!.value, options), weight: byLabel });
  return { terms, teacher, label: byLabel > 0 ? labelInput : undefined };
}

/** Between two samples there is no class number, and between the samples of one batch of one nothing. */
function refuseMixedLabels({ mixup, batchSize }: FinetuneOptions, byLabel: number): void {
  if (mixup === 0) return;
  if (byLabel > 0) {
    throw new PareError('usage', 'finetune: mixup mixes samples, and a mixture has no label', {
      hint: 'learn from the teacher alone (no --label-share), or leave out --mixup',
    });
  }
  if (batchSize === 1) {
    throw new PareError(
      'usage',
      'finetune: mixup takes two samples of a batch, and a batch has 1',
      {
        hint: 'raise --batch-size, or leave out --mixup',
      },
    );
  }
}

/** The value of the teacher that an input of the step takes. */
export function valueOfTarget(model: Model, target: TeacherTarget): Value {
  return 'value' in target ? model.graph.value(target.value) : valueOfOutput(model, target.output);
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

function labelTerm(value: Value, { labelSmoothing }: FinetuneOptions): LossTerm {
  const { logits, axis } = logitsOf(value);
  const rank = logits.dims?.length;
  if (rank !== 2) {
    throw new PareError(
      'unsupported',
      `finetune: labels are class numbers, and the output has ${rank ?? 'unknown'} dims, not [batch, classes]`,
      { tensor: value.name, hint: 'learn from a teacher: give --teacher ORIGINAL' },
    );
  }
  return {
    loss: 'cross-entropy',
    output: logits.name,
    target: labelInput,
    options: { labelSmoothing, axis },
  };
}

function logitsOf(value: Value): { logits: Value; axis: number } {
  const form = value.producer && probabilityFormOf(value.producer);
  if (!form) return { logits: value, axis: -1 };
  return { logits: value.producer!.input(form.logits), axis: form.axis(value.producer!) };
}
