#!/usr/bin/env node
// `pare optimize` as a library: opens a model and labelled data, lets pare make and measure the
// candidates, prints what was kept and why the others were not, and writes the winner.
// Here on the digit classifier that comes with pare; put your own model and data in its place.
//
//   npm run build
//   node examples/optimize-in-node.mjs [FOLDER] [SAMPLES]
//
// FOLDER is where digits.opt.onnx goes (default: the working directory), SAMPLES how many digits
// are evaluated (default: all that the search does not use, 1,936).
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelSource, optimize, version } from 'pare';
import { createNodeEngine, openData, openModel, saveModel } from 'pare/node';

const [folder = '.', samples] = process.argv.slice(2);
const asset = (name) => fileURLToPath(new URL(`../assets/${name}`, import.meta.url));

const { model, files, close } = await openModel(asset('digits.onnx'));
const engine = await createNodeEngine({ threads: 1 });
try {
  // A session tells which inputs the model has; the data are prepared for them.
  const session = await engine.createSession(await modelSource(model));
  const { inputs } = session;
  await session.release();
  const dataset = await openData(asset('digits.npz'), { ports: inputs, preprocess: 'unit' });

  const result = await optimize(model, dataset, engine, {
    target: 'node',
    goal: 'balanced',
    promise: { maxDrop: 0.5 },
    samples: samples === undefined ? undefined : Number(samples),
    version,
  });

  for (const { name, sizeBytes, bench, verdict, reasons } of result.candidates) {
    const speed = bench?.speedUp ? `${bench.speedUp.ratio.toFixed(2)}x` : '';
    const why = reasons.length > 0 ? `: ${reasons.join('; ')}` : '';
    console.log(`${name}, ${sizeBytes} bytes, ${speed} ${verdict}${why}`);
  }
  if (result.winner) {
    const path = join(folder, 'digits.opt.onnx');
    await saveModel(result.winner.model, path, { force: true, inputs: files });
    console.log(`wrote ${path}: ${result.original.sizeBytes} bytes before`);
  } else {
    console.log('nothing is smaller or faster and keeps the promise');
  }
} finally {
  await engine.close();
  await close();
}
