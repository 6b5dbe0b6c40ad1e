/** A chain of Reshape nodes reads what stands before it, and is left out where it changes nothing. */
import { expect, test } from 'vitest';
import { Emitter } from '../graph/emitter.js';
import { Model } from '../graph/model.js';
import { tensorType } from '../graph/value-type.js';
import { joinReshapes } from './join-reshapes.js';

/** Relu of x [2,6], as [3,4], as [0,2,2] of that, and as [2,6] again; all three are read. */
function chain() {
  const model = new Model({ opsets: [['', 21]], irVersion: 10 });
  const { graph } = model;
  const e = new Emitter(graph);
  const start = e.op('Relu', [graph.addInput('x', tensorType('float', [2, 6]))]);
  start.type = tensorType('float', [2, 6]);
  const flat = e.reshape(start, [3, 4]);
  flat.type = tensorType('float', [3, 4]);
  const deep = e.reshape(flat, [0, 2, 2]);
  const back = e.reshape(deep, [2, -1]);
  back.type = tensorType('float', [2, 6]);
  graph.outputs.push(e.op('Relu', [flat]), e.op('Relu', [deep]), e.op('Relu', [back]));
  return { model, start, flat, deep, back };
}

test('every Reshape reads the first value, and a copied dim is written out', async () => {
  const { model, start, deep } = chain();
  await joinReshapes(model.graph);
  expect(deep.producer!.input(0)).toBe(start);
  expect(await deep.producer!.constantInput(1)!.numbers()).toEqual([3, 2, 2]);
});

test('what ends with the first dims is left out, unless somebody reads it', async () => {
  const gone = chain();
  await joinReshapes(gone.model.graph);
  expect(gone.model.graph.outputs[2]!.producer!.input(0)).toBe(gone.start);
  expect([...gone.model.graph.nodes].filter(({ op }) => op === 'Reshape')).toHaveLength(2);

  const read = chain();
  await joinReshapes(read.model.graph, [read.back]);
  expect(read.back.producer!.input(0)).toBe(read.start);
  expect(read.model.graph.outputs).toHaveLength(3);
});

test('a dim that is not known stays as it is written', async () => {
  const { model, flat, deep, back } = chain();
  flat.type = undefined;
  back.type = undefined;
  await joinReshapes(model.graph);
  expect(deep.producer!.input(0)).toBe(flat);
});
