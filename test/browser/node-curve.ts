/** Trains in Node before the tests in the browser, which compare. */
import { readFile } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { createNodeEngine } from '../../src/engine/node.js';
import { trainingCurve } from './curve.js';

const asset = async (name: string) =>
  new Uint8Array(await readFile(new URL(`../../assets/${name}`, import.meta.url)));

export default async function setup(project: TestProject): Promise<void> {
  const engine = await createNodeEngine({ threads: 1 });
  try {
    const assets = { model: await asset('digits.onnx'), data: await asset('digits.npz') };
    project.provide('nodeCurve', await trainingCurve(engine, assets));
  } finally {
    await engine.close();
  }
}

declare module 'vitest' {
  export interface ProvidedContext {
    /** The loss of each step, trained with onnxruntime-node. */
    nodeCurve: number[];
  }
}
