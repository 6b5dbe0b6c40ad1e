/**
 * Writes the convolutions of a model in the blocked layout of the runtime's fast kernels. Inference
 * gets that layout by itself, training does not, since weights that change are no constants.
 * What is computed element by element between convolutions stays in the layout, and each value has
 * at most one form of each kind. Changes no result but for the order of sums.
 *
 * Tried, ms of one thread, 128 samples, 3x3, as it is / blocked with the way in and out: 16 to 16
 * channels of 32x32 13.8 / 8.8; 32 to 32 of 16x16 11.0 / 7.9; 64 to 64 of 8x8 8.5 / 6.6. Filling the
 * last block with zeros where channels fill none brings nothing: half of ResNet-20 (12, 20, 24, 44 and
 * 48 channels, blocks of 8 with AVX2) takes 473 ms as it is and 488 with all of it in blocks.
 */
import { removeDead } from '../../graph/dead.js';
import { Emitter } from '../../graph/emitter.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import {
  type BlockedForm,
  blockedActivationOf,
  blockedDomain,
  blockedFormOf,
  blockedOps,
} from '../../ops/blocked-form.js';
import { traitsOf } from '../../ops/traits.js';

/**
 * @param model with the types of all values; nodes in topological order. It is edited.
 * @param kept values besides the outputs of the graph that somebody will read
 */
export function useBlocks(model: Model, block: number, kept: readonly Value[] = []): void {
  const { graph } = model;
  const blocks = new Blocks(model, block);
  for (const node of [...graph.nodes]) blocks.take(node);
  if (!blocks.used) return;
  model.opsets.set(blockedDomain, 1);
  removeDead(graph, new Set(kept));
}

class Blocks {
  used = false;
  readonly #model: Model;
  readonly #block: number;
  /** By value: its blocked form. */
  readonly #blocked = new Map<Value, Value>();
  readonly #sharing: Emitter;

  constructor(model: Model, block: number) {
    this.#model = model;
    this.#block = block;
    this.#sharing = new Emitter(model.graph);
  }

  take(node: Node): void {
    const form = blockedFormOf(node, this.#block);
    if (form) this.#convolve(node, form);
    else if (this.#isActivation(node)) this.#activate(node);
    else if (this.#staysBlocked(node)) this.#repeat(node);
  }

  #convolve(node: Node, { op, attributes, takesPlain, weight }: BlockedForm): void {
    const e = this.#emitter(node);
    const x = node.input(0);
    const inputs = [takesPlain ? x : this.#enter(e, x), weight(e, node.input(1)), node.inputs[2]];
    const made = e.op(op, node.inputs[2] ? inputs : inputs.slice(0, 2), attributes);
    this.used = true;
    this.#leave(node, made);
  }

  /** Whether it is the only reader of a convolution that can do its work too. */
  #isActivation(node: Node): boolean {
    const x = node.inputs[0];
    const producer = x && this.#blocked.get(x)?.producer;
    if (!producer || !x.onlyUse || !blockedActivationOf(node)) return false;
    return producer.op === blockedOps.conv && !producer.has('activation');
  }

  #activate(node: Node): void {
    const made = this.#blocked.get(node.input(0))!;
    made.producer!.setAttribute('activation', blockedActivationOf(node)!);
    this.#blocked.delete(node.input(0));
    this.#leave(node, made);
  }

  /** Element by element over values of one shape, at least one of which is blocked. */
  #staysBlocked(node: Node): boolean {
    if (!traitsOf(node.op).elementwise || node.outputs.length !== 1) return false;
    const y = node.output();
    const whole = node.inputs.filter((input) => input && !isSingle(input)) as Value[];
    if (!whole.some((input) => this.#blocked.has(input))) return false;
    return (
      this.#canBlock(y) && whole.every((input) => haveSameDims(input, y) && this.#canEnter(input))
    );
  }

  #repeat(node: Node): void {
    const e = this.#emitter(node);
    const inputs = node.inputs.map((input) =>
      input && !isSingle(input) ? this.#enter(e, input) : input,
    );
    const made = e.op(node.op, inputs, Object.fromEntries(node.attributes));
    // The way out is for floats: other types are computed twice where both forms are read.
    if (node.output().dataType === 'float') this.#leave(node, made);
    else this.#set(node.output(), made);
  }

  #enter(e: Emitter, value: Value): Value {
    const made = this.#blocked.get(value) ?? e.op(blockedOps.enter, [value]);
    this.#set(value, made);
    return made;
  }

  /** What the node made is now the blocked result, brought back. */
  #leave(node: Node, made: Value): void {
    const graph = this.#model.graph;
    const y = node.output();
    const channels = y.dims![1] as number;
    const before = node.next;
    node.takeOutputs();
    graph.removeNode(node);
    graph.addNode(
      {
        opType: blockedOps.leave.split(':')[1]!,
        domain: blockedDomain,
        inputs: [made],
        outputs: [y],
        attributes: { channels },
      },
      before ? { before } : undefined,
    );
    this.#set(y, made);
  }

  #set(value: Value, made: Value): void {
    this.#blocked.set(value, made);
    made.type ??= value.type;
  }

  #canEnter(value: Value): boolean {
    return this.#blocked.has(value) || (value.dataType === 'float' && this.#canBlock(value));
  }

  #canBlock({ dims }: Value): boolean {
    if (dims?.length !== 4 || !dims.every((dim) => typeof dim === 'number')) return false;
    return (dims[1] as number) % this.#block === 0;
  }

  #emitter(node: Node): Emitter {
    const options = { scope: 'blocked', position: { before: node } };
    return new Emitter(this.#model.graph, options, this.#sharing);
  }
}

function isSingle({ dims }: Value): boolean {
  return !!dims?.every((dim) => dim === 1);
}

function haveSameDims(a: Value, b: Value): boolean {
  return a.dims?.length === b.dims?.length && !!a.dims?.every((dim, axis) => dim === b.dims![axis]);
}
