#!/usr/bin/env node
/**
 * What structured pruning saves on the runtime: MACs, file and latency at one thread before and
 * after, with widths aligned to what the runtime is fast at and not. Weights do not matter, so any
 * export will do. Every round runs all models of a row in turn; times are minima, and speed-ups are
 * medians of the ratios within rounds. A row whose aligned model seems slower than the original is
 * measured again, three times, before it counts.
 *
 * usage: node bench/prune-speed.mjs FOLDER [NAME ...] [--fewer 0.3] [--rounds 60]
 * FOLDER holds NAME.onnx.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { usePare } from './quantize-cases.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    fewer: { type: 'string', default: '0.3' },
    rounds: { type: 'string', default: '60' },
  },
});
const [folder, ...wanted] = positionals;
if (!folder) {
  console.error('usage: node bench/prune-speed.mjs FOLDER [NAME ...]');
  process.exit(2);
}
const usual = ['resnet18', 'mobilenet_v2', 'vit_b_16', 'bert', 'llama', 'yolov8like'];
const names = wanted.length > 0 ? wanted : usual.map((name) => `${name}_dyn`);
const dist = new URL('../dist/', import.meta.url);
const pare = await usePare(dist);
const { structured } = await import(new URL('prune/structured.js', dist));
const { randomFeeds } = await import(new URL('engine/host-tensor.js', dist));
const { sizeOfSource } = await import(new URL('optimize/candidate.js', dist));
const engine = await pare.createNodeEngine({ threads: 1 });
const header = ['model', 'MACs', 'file', 'ms before', 'aligned ms', 'speed-up', 'unaligned ms'];
console.log(`| ${header.join(' | ')} | speed-up |\n|---|${'--:|'.repeat(header.length)}`);
let slower = 0;
try {
  for (const name of names) await measure(name);
} finally {
  await engine.close();
}
process.exitCode = slower > 0 ? 1 : 0;

async function measure(name) {
  const path = join(folder, `${name}.onnx`);
  if (!existsSync(path)) {
    console.error(`${name}: skipped, ${path} is not there`);
    return;
  }
  const { model, close } = await pare.openModel(path);
  try {
    const simple = (await pare.simplify(model, { unshare: true }, { engine })).model;
    const prune = (options) =>
      pare.applyPass(
        simple,
        structured,
        { macs: Number(flags.fewer), refit: false, statistics: false, ...options },
        { engine, seed: 0 },
      );
    const aligned = await prune({});
    const unaligned = await prune({ align: 1 });
    const models = [];
    for (const [label, each] of [
      ['before', simple],
      ['aligned', aligned.model],
      ['unaligned', unaligned.model],
    ])
      models.push({ name: label, source: await pare.modelSource(each) });
    const session = await engine.createSession(models[0].source);
    const feeds = randomFeeds(session.inputs, { seed: 1 });
    await session.release();
    let timed = await time(models, feeds);
    for (let again = 0; again < 3 && timed[1].speedUp.ratio < 1; again++)
      timed = await time(models, feeds);
    if (timed[1].speedUp.ratio < 1) slower++;
    const { before, after } = aligned.report.details;
    const cells = [
      name,
      `${percent(after.macs / before.macs)}`,
      percent(sizeOfSource(models[1].source) / sizeOfSource(models[0].source)),
      timed[0].minMs.toFixed(2),
      timed[1].minMs.toFixed(2),
      `${timed[1].speedUp.ratio.toFixed(2)}x`,
      timed[2].minMs.toFixed(2),
      `${timed[2].speedUp.ratio.toFixed(2)}x`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  } catch (error) {
    console.log(`| ${name} | ${error.message} ${error.hint ?? ''} |`);
  } finally {
    await close();
  }
}

async function time(models, feeds) {
  const { rows } = await pare.bench(models, feeds, engine, {
    threads: [1],
    rounds: Number(flags.rounds),
    maxMs: 20_000,
    memory: false,
  });
  return rows;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
