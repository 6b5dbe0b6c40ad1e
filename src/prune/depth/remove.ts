/**
 * Takes branches out of a graph: the stream passes by. And the same in another way, as the proof
 * needs it: the branch stays, and what it adds is multiplied by zero. Edits only.
 */
import { addConstant } from '../../graph/constant.js';
import { removeDead } from '../../graph/dead.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import { Tensor } from '../../onnx/tensor.js';
import { replaceValue, whyNotReplace } from '../../simplify/edit.js';
import type { Branch } from './branches.js';

type Place = Pick<Branch, 'output' | 'streamIndex'>;

/** Returns why it cannot be taken out, and then changes nothing. */
export function removeUnit(model: Model, unit: readonly Place[]): string | undefined {
  const joins = unit.map((branch) => joinOf(model, branch));
  const streamOf = (at: number) => joins[at]!.input(unit[at]!.streamIndex);
  for (const at of joins.keys()) {
    // What will be there once the branches before it in the unit are out.
    let stream = streamOf(at);
    for (let before = at - 1; before >= 0; before--) {
      if (joins[before]!.output() === stream) stream = streamOf(before);
    }
    const why = whyNotReplace(joins[at]!.output(), stream);
    if (why) return why;
  }
  for (const [at, join] of joins.entries()) {
    replaceValue(join.output(), streamOf(at));
    model.graph.removeNode(join);
  }
  removeDead(model.graph);
  return undefined;
}

/** The model as it would be if the branch added nothing. */
export function silenceUnit(model: Model, unit: readonly Place[]): void {
  const { graph } = model;
  for (const place of unit) {
    const join = joinOf(model, place);
    const index = 1 - place.streamIndex;
    const value = join.input(index);
    const type = value.dataType ?? join.output().dataType ?? 'float';
    const silent = graph.addNode(
      { opType: 'Mul', inputs: [value], outputs: [graph.freshName(`${value.name}_silent`)] },
      { before: join },
    );
    silent.setInput(1, addConstant(silent, 'silence', Tensor.of(type, [], [0])));
    join.setInput(index, silent.output());
  }
}

function joinOf(model: Model, { output }: Place): Node {
  return model.graph.value(output).producer!;
}
