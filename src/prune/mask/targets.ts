/**
 * The weights of a model that can be masked: found, read as matrices, and written back. What holds
 * weights and cannot be masked is reported with the reason. No choice is made here.
 */
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { dataTypes } from '../../onnx/data-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { roleOfInput } from '../../ops/input-roles.js';
import type { ReportBuilder } from '../../pass.js';
import { type NodeChoice, nodeChooser } from '../../pattern.js';
import { isAnnotationPart } from '../../simplify/edit.js';
import type { WeightMatrix } from './matrix.js';
import { type WeightForm, weightForms } from './weight-forms.js';

export interface Target {
  /** The stored tensor. */
  readonly value: Value;
  /** That of the first use; the others put the same entries into the same rows. */
  readonly form: WeightForm;
  readonly uses: readonly { readonly node: Node; readonly form: WeightForm }[];
}

/** In order of execution. Nodes inside functions are reported; subgraphs are looked into. */
export function findTargets(model: Model, choice: NodeChoice, report: ReportBuilder): Target[] {
  const leaveOut = nodeChooser(model, choice);
  const found = new Map<Value, Target | undefined>();
  for (const node of model.graph.allNodes()) {
    for (const [index, value] of node.inputs.entries()) {
      if (!value || !holdsWeight(node, index)) continue;
      const result = targetOf(node, index, leaveOut);
      if ('reason' in result) report.skip(node, result.reason);
      else if (!found.has(value)) found.set(value, result);
    }
  }
  for (const { body, name } of model.functions) {
    for (const node of body.allNodes()) {
      if (weightForms[node.op]) report.skip(node, `inside the model function ${name}`);
    }
  }
  return [...found.values()].filter((target) => target !== undefined);
}

function holdsWeight(node: Node, index: number): boolean {
  const places = weightForms[node.op];
  if (places?.some((place) => place.index === index)) {
    if (node.inputs[index]!.constant) return true;
    // Either side of a product can be the weight: one line for a node without any.
    return index === 1 && !places.some((place) => node.constantInput(place.index));
  }
  const tensor = node.constantInput(index);
  if (!tensor || tensor.dims.length < 2) return false;
  const role = roleOfInput(node, index, tensor);
  return role === 'weight' || role === 'embedding';
}

function targetOf(
  node: Node,
  index: number,
  leaveOut: (node: Node) => string | undefined,
): Target | { readonly reason: string } {
  const reason = leaveOut(node);
  if (reason) return { reason };
  const form = formOf(node, index);
  if ('reason' in form) return form;
  const value = node.input(index);
  const tensor = value.constant;
  if (!tensor) return { reason: 'its weight is no constant, or only after pare simplify' };
  const { kind, bits } = dataTypes[tensor.dataType];
  if (kind !== 'float' || bits < 16) return { reason: `its weight is ${tensor.dataType}` };
  if (isAnnotationPart(value)) return { reason: 'its weight has a quantization annotation' };
  const uses: Target['uses'][number][] = [];
  for (const use of value.uses) {
    const other = formOf(use.node, use.index);
    const left = leaveOut(use.node);
    if (left || 'reason' in other || keyOf(other) !== keyOf(form)) {
      return {
        reason: `its weight is shared with ${use.node.label}, which ${left ? 'stays' : 'uses it in another way'}`,
      };
    }
    uses.push({ node: use.node, form: other });
  }
  return { value, form, uses };
}

function formOf(node: Node, index: number): WeightForm | { readonly reason: string } {
  const place = weightForms[node.op]?.find((each) => each.index === index);
  if (!place) return { reason: `${node.op} is not masked` };
  const dims = node.inputs[index]?.dims;
  if (!dims?.every((dim) => typeof dim === 'number')) {
    return { reason: 'its weight is no constant' };
  }
  return place.form(node, dims);
}

/** Equal for forms that put the same entries into the same rows. */
function keyOf({ rows, features, groups, channels, at }: WeightForm): string {
  return [rows, features, groups, channels, at(0, features - 1), at(rows - 1, 0)].join();
}

/**
 * The weight as float64. Throws `invalid-model` where an entry is not finite: it has no magnitude
 * to compare by.
 */
export async function readMatrix({ value, form, uses }: Target): Promise<WeightMatrix> {
  const tensor = value.constant!;
  const stored = await numbersOf(tensor);
  const wrong = stored.findIndex((number) => !Number.isFinite(number));
  if (wrong >= 0) {
    let count = 0;
    for (const number of stored) if (!Number.isFinite(number)) count++;
    throw new PareError(
      'invalid-model',
      `prune: "${value.name}" holds ${count} values that are not finite, the first is ${stored[wrong]} at ${wrong}`,
      { tensor: value.name, node: uses[0]!.node.label, hint: 'pare inspect --check lists them' },
    );
  }
  const { rows, features, groups, channels } = form;
  const values = new Float64Array(rows * features);
  for (let row = 0, entry = 0; row < rows; row++) {
    for (let i = 0; i < features; i++) values[entry++] = stored[form.at(row, i)]!;
  }
  return { rows, features, groups, channels, values };
}

export async function writeMatrix(
  { value, form }: Target,
  { values }: WeightMatrix,
): Promise<void> {
  const tensor = value.constant!;
  const stored = (await numbersOf(tensor)).slice();
  const { rows, features } = form;
  for (let row = 0, entry = 0; row < rows; row++) {
    for (let i = 0; i < features; i++) stored[form.at(row, i)] = values[entry++]!;
  }
  const written = Tensor.of(tensor.dataType, tensor.dims, stored);
  if (value.isConstant) value.initializer = written;
  else value.producer!.setAttribute('value', written);
}

async function numbersOf(tensor: Tensor): Promise<Float32Array | Float64Array> {
  return tensor.dataType === 'double'
    ? ((await tensor.array()) as Float64Array)
    : await tensor.floats();
}
