/** The digit classifier of the demo and its samples, for tests in Node. */
import { fileURLToPath } from 'node:url';
import type { Dataset } from '../data/dataset.js';
import { openPath } from '../data/node.js';
import type { Engine, PortInfo } from '../engine/engine.js';
import { type OpenModel, openModel } from '../node.js';

const asset = (name: string) => fileURLToPath(new URL(`../../assets/${name}`, import.meta.url));

export interface Digits {
  readonly opened: OpenModel;
  readonly ports: readonly PortInfo[];
  /** 2,000 pictures with labels. */
  readonly dataset: Dataset;
}

export async function openDigits(engine: Engine): Promise<Digits> {
  const path = asset('digits.onnx');
  const opened = await openModel(path);
  const session = await engine.createSession({ path });
  const ports = session.inputs;
  await session.release();
  const dataset = await openPath(asset('digits.npz'), { ports, preprocess: 'unit' });
  return { opened, ports, dataset };
}
