/**
 * Random sequences of edits: whatever happens, users and producers agree with inputs and outputs,
 * the list of nodes is whole, and names find their values.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { PareError } from '../errors.js';
import { Tensor } from '../onnx/tensor.js';
import { cloneModel } from './clone.js';
import { removeDead } from './dead.js';
import { differenceOf } from './equal.js';
import { Graph } from './graph.js';
import type { Model } from './model.js';
import type { Node } from './node.js';
import { parseModel } from './parse.js';
import type { Value } from './value.js';

const start = `
main (bool c, float[2] x) => (float[2] y, float[2] z)
< float[2] w = {1, 2}, float[2] v = {3, 4} >
{
  a = Add(x, w)
  b, b2 = Split(a)
  s = If(c) <
    then_branch = yes () => (float[2] t) { t0 = Mul(a, w) t = Neg(t0) },
    else_branch = no () => (float[2] e) {
      e = If(c) <
        then_branch = inner () => (float[2] i) { i = Add(b, b) },
        else_branch = other () => (float[2] o) { o = Identity(x) }
      >
    }
  >
  y = Add(s, b2)
  z = Clip(y, "", v)
}`;

/** What is wrong between values and nodes, in all graphs of the model; nothing when all is well. */
function brokenLinks({ graph: main }: Model): string[] {
  const problems: string[] = [];
  const check = (holds: boolean, problem: string) => {
    if (!holds) problems.push(problem);
  };
  const users = new Map<Value, Set<Node>>();
  for (const node of main.allNodes()) {
    for (const input of node.inputs) {
      if (input) users.set(input, (users.get(input) ?? new Set()).add(node));
    }
  }
  const seen = new Set<Value>();
  for (const graph of main.allGraphs()) {
    const nodes = [...graph.nodes];
    check(graph.nodes.size === nodes.length, 'size of the list');
    check(graph.nodes.first === nodes[0] && graph.nodes.last === nodes.at(-1), 'ends of the list');
    for (const [index, node] of nodes.entries()) {
      check(node.graph === graph, `graph of ${node}`);
      check(node.previous === nodes[index - 1], `previous of ${node}`);
      check(node.next === nodes[index + 1], `next of ${node}`);
      check(node.inputs.length === 0 || node.inputs.at(-1) !== undefined, `holes of ${node}`);
      check(
        node.subgraphs.every(({ owner }) => owner === node),
        `owner of a graph in ${node}`,
      );
      for (const output of node.outputs) {
        if (!output) continue;
        check(output.producer === node, `producer of ${output}`);
        check(graph.find(output.name) === output, `name of ${output}`);
      }
    }
    for (const value of graph.values) {
      seen.add(value);
      const { producer } = value;
      check(value.graph === graph && graph.find(value.name) === value, `scope of ${value}`);
      const expected = users.get(value) ?? new Set();
      check(value.users.size === expected.size, `number of users of ${value}`);
      check(
        [...value.users].every((node) => expected.has(node)),
        `users of ${value}`,
      );
      check(
        value.uses.every(({ node, index }) => node.inputs[index] === value),
        `uses of ${value}`,
      );
      check(!producer || producer.graph === graph, `graph of the producer of ${value}`);
      check(!producer || producer.outputs[value.outputIndex] === value, `output index of ${value}`);
    }
    for (const port of [...graph.inputs, ...graph.outputs]) check(seen.has(port), `port ${port}`);
  }
  for (const value of users.keys()) check(seen.has(value), `${value} is used but in no graph`);
  return problems;
}

/** Picks of an edit: each is taken modulo what there is to choose from. */
type Picks = readonly [number, number, number, number];

const edits: Readonly<Record<string, (model: Model, picks: Picks) => void>> = {
  addNode({ graph: main }, [g, a, b, where]) {
    const graph = pick([...main.allGraphs()], g);
    const visible = visibleFrom(graph);
    const anchor = graph.nodes.size > 0 ? pick([...graph.nodes], where) : undefined;
    graph.addNode(
      { opType: 'Add', inputs: [pick(visible, a), undefined, pick(visible, b)] },
      anchor && (where % 2 ? { before: anchor } : { after: anchor }),
    );
  },
  addBranch({ graph: main }, [n, a]) {
    const node = pick([...main.allNodes()], n);
    const branch = new Graph('branch');
    branch.owner = node;
    const captured = pick(visibleFrom(node.graph!), a);
    const made = branch.addNode({ opType: 'Neg', inputs: [captured] });
    branch.outputs.push(made.output());
    node.setAttribute(a % 2 ? 'then_branch' : 'extra', branch);
  },
  removeBranch({ graph: main }, [n, a]) {
    pick([...main.allNodes()], n).removeAttribute(a % 2 ? 'then_branch' : 'extra');
  },
  setInput({ graph: main }, [n, index, a, hole]) {
    const node = pick([...main.allNodes()], n);
    node.setInput(index % 4, hole % 3 === 0 ? undefined : pick(visibleFrom(node.graph!), a));
  },
  setInputs({ graph: main }, [n, a, b]) {
    const node = pick([...main.allNodes()], n);
    const visible = visibleFrom(node.graph!);
    node.setInputs([undefined, pick(visible, a), pick(visible, b), pick(visible, a), undefined]);
  },
  setOutput({ graph: main }, [n, index, a]) {
    const node = pick([...main.allNodes()], n);
    const graph = node.graph!;
    const free = [...graph.values].filter((v) => !v.isInput && !v.initializer);
    node.setOutput(index % 3, a % 2 ? graph.addValue(graph.freshName('new')) : pick(free, a));
  },
  removeNode({ graph: main }, [n]) {
    const node = pick([...main.allNodes()], n);
    node.graph!.removeNode(node);
  },
  removeValue({ graph: main }, [g, a]) {
    const graph = pick([...main.allGraphs()], g);
    graph.removeValue(pick([...graph.values], a));
  },
  replaceUses({ graph: main }, [a, b]) {
    const values = [...main.values];
    pick(values, a).replaceUses(pick(values, b));
  },
  rename({ graph: main }, [g, a, b]) {
    const graph = pick([...main.allGraphs()], g);
    const name = b % 2 ? graph.freshName('renamed') : pick([...main.values], b).name;
    pick([...graph.values], a).rename(name);
  },
  replaceOutput({ graph: main }, [g, a, b]) {
    const graph = pick([...main.allGraphs()], g);
    graph.replaceOutput(pick(graph.outputs, a), pick([...graph.values], b));
  },
  addInitializer({ graph: main }, [g]) {
    pick([...main.allGraphs()], g).addInitializer('w', Tensor.scalar('float', 1));
  },
  removeDead({ graph }) {
    removeDead(graph);
  },
  sort({ graph: main }, [g]) {
    pick([...main.allGraphs()], g).sort();
  },
};

function pick<Item>(items: readonly Item[], number: number): Item {
  // Like a real caller, an edit that finds nothing to work on does not happen.
  if (items.length === 0) throw new PareError('usage', 'nothing to pick');
  return items[number % items.length]!;
}

function visibleFrom(graph: Graph): Value[] {
  return [...(graph.parent ? visibleFrom(graph.parent) : []), ...graph.values];
}

/** Whether the model can be written: all that is used or returned is defined somewhere. */
function isComplete({ graph: main }: Model): boolean {
  const defined = (value: Value) => value.producer ?? value.initializer ?? value.isInput;
  for (const graph of main.allGraphs()) {
    if (!graph.outputs.every(defined)) return false;
    for (const node of graph.nodes) {
      if (!node.inputs.every((input) => !input || defined(input))) return false;
    }
  }
  return true;
}

const edit = fc.tuple(
  fc.constantFrom(...Object.keys(edits)),
  fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99), fc.nat(99)),
);

test('links stay right through any sequence of edits', async () => {
  let copies = 0;
  let done = 0;
  const property = fc.asyncProperty(fc.array(edit, { maxLength: 12 }), async (sequence) => {
    const model = parseModel(start);
    for (const [name, picks] of sequence) {
      try {
        edits[name]!(model, picks);
        done++;
      } catch (error) {
        // Refusing is fine, half an edit is not.
        if (!(error instanceof PareError)) throw error;
      }
      expect(brokenLinks(model), name).toEqual([]);
    }
    if (!isComplete(model)) return;
    try {
      for (const graph of model.allGraphs()) graph.sort();
    } catch (error) {
      if (error instanceof PareError && error.code === 'invalid-model') return;
      throw error;
    }
    copies++;
    const copy = cloneModel(model);
    expect(brokenLinks(copy)).toEqual([]);
    expect(await differenceOf(model, copy)).toBeUndefined();
  });
  await fc.assert(property, { numRuns: 300 });
  // The property has done its work on a fair share of the sequences.
  expect(copies).toBeGreaterThan(30);
  expect(done).toBeGreaterThan(300);
});
