#!/usr/bin/env node
// The schemes that need no calibration, with their default options, on one model: how small, how fast and how faithful it is,
// and which nodes stay float and why. `pare optimize` does this and chooses; this is for looking.
//
//   npm run build
//   node examples/quantize-and-compare.mjs [MODEL DATA [PREPROCESS]] [--samples N]
//
// Without arguments it takes the digits that come with pare.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bench, evaluate, modelSource, quantize, randomFeeds, simplify } from 'pare';
import { createNodeEngine, openData, openModel } from 'pare/node';

const asset = (name) => fileURLToPath(new URL(`../assets/${name}`, import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { samples: { type: 'string', default: '500' } },
});
const [path = asset('digits.onnx'), data = asset('digits.npz')] = positionals;
const preprocess = positionals[2] ?? (positionals.length === 0 ? 'unit' : 'raw');

const { model, close } = await openModel(path);
const engine = await createNodeEngine({ threads: 1 });
try {
  const models = [{ name: 'original', source: await modelSource(model) }];
  // Simplified first, weights are found wherever the exporter put them.
  const { model: simple } = await simplify(model, {}, { engine });
  for (const name of ['dynamic', 'weight-only', 'float16']) {
    const { model: result, report } = await quantize(simple, name, {}, { engine });
    models.push({ name, source: await modelSource(result) });
    const reasons = new Set(report.skipped.map(({ op, reason }) => `${op}: ${reason}`));
    console.log(`${name}: ${report.changed.length} changes`);
    for (const reason of reasons) console.log(`  left alone, ${reason}`);
  }

  const session = await engine.createSession(models[0].source);
  const ports = session.inputs;
  await session.release();
  const dataset = await openData(data, { ports, preprocess });
  const count = Math.min(Number(values.samples), dataset.size);
  const indices = Array.from({ length: count }, (_, i) => i);
  const evaluations = await evaluate(models, dataset, engine, { indices });
  const { rows } = await bench(models, randomFeeds(ports), engine, { memory: false });

  for (const [at, { name, source }] of models.entries()) {
    const bytes = source.parts.reduce((sum, part) => sum + part.byteLength, 0);
    const { classification, flips, outputs } = evaluations[at];
    const cells = [
      `${bytes} bytes`,
      rows[at].speedUp && `${rows[at].speedUp.ratio.toFixed(2)}x`,
      classification?.top1 && `top-1 ${(100 * classification.top1.share).toFixed(2)} %`,
      flips && `flips ${(100 * flips.share).toFixed(2)} %`,
      outputs[0].agreement && `SNR ${outputs[0].agreement.snrDb?.toFixed(1)} dB`,
    ];
    console.log(`${name}: ${cells.filter(Boolean).join(', ')}`);
  }
} finally {
  await engine.close();
  await close();
}
