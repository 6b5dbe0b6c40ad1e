#!/usr/bin/env node
/**
 * Structured pruning before any training on real models: accuracy by criterion, scope and share of
 * MACs, with and without repair, and the share of the lost accuracy that the repair brings back.
 * The first 100 samples (128 where --calibrate says so) calibrate and repair, those behind them
 * evaluate; batch 1; widths are not aligned unless --align says so.
 *
 * usage: node bench/prune.mjs FOLDER [NAME ...] [--criteria l2,lamp,...] [--scopes global,...]
 *        [--fewer 0.2,0.3,0.5] [--calibrate 128] [--evaluate 500] [--align 1] [--options JSON]
 * FOLDER holds models/ and data/, see bench/quantize-cases.mjs. --options are further options of
 * the pass for the repaired rows, such as '{"ridge":0.1}'.
 */
import { parseArgs } from 'node:util';
import { cases, openCase, range, usePare } from './quantize-cases.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    criteria: { type: 'string', default: 'l2,lamp,fpgm,activation,wanda,random' },
    scopes: { type: 'string', default: 'global,per-layer,isomorphic,global-per-mac' },
    fewer: { type: 'string', default: '0.2,0.3,0.5' },
    calibrate: { type: 'string', default: '128' },
    evaluate: { type: 'string', default: '500' },
    align: { type: 'string', default: '1' },
    options: { type: 'string', default: '{}' },
  },
});
const [folder, ...wanted] = positionals;
if (!folder) {
  console.error('usage: node bench/prune.mjs FOLDER [NAME ...]');
  process.exit(2);
}
const usual = ['resnet20', 'resnet56', 'squeezenet1.1', 'vww', 'kws'];
const names = wanted.length > 0 ? wanted : usual;
const unknown = names.filter((name) => !(name in cases));
if (unknown.length > 0) {
  console.error(`there is no case "${unknown[0]}"; cases: ${Object.keys(cases).join(', ')}`);
  process.exit(2);
}
const dist = new URL('../dist/', import.meta.url);
const pare = await usePare(dist);
const { structured } = await import(new URL('prune/structured.js', dist));
const { repeatableFeeds } = await import(new URL('data/repeatable-feeds.js', dist));
const engine = await pare.createNodeEngine({ threads: 1 });
const shares = flags.fewer.split(',').map(Number);
/** Recovered share of the lost accuracy, by share of MACs. */
const recovered = new Map(shares.map((share) => [share, []]));
const header = ['model', 'criterion', 'scope', 'MACs', 'plain', 'repaired', 'recovered', 's'];
console.log(`| ${header.join(' | ')} |\n|---|---|---|${'--:|'.repeat(header.length - 3)}`);
try {
  for (const name of names) await measure(name);
} finally {
  await engine.close();
}
for (const [share, all] of recovered) {
  if (all.length === 0) continue;
  const sorted = [...all].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1];
  console.log(
    `${percent(share)} fewer MACs: median recovery ${percent(median)} of what was lost, ${all.length} rows`,
  );
}

async function measure(name) {
  const found = await openCase(pare, engine, folder, name);
  if (!found) return;
  const { model, dataset, close } = found;
  try {
    const simple = (await pare.simplify(model, { unshare: true }, { engine })).model;
    const calibrated = Number(flags.calibrate);
    const samples = repeatableFeeds(dataset, found.ports, range(0, calibrated));
    const last = Math.min(dataset.size, calibrated + Number(flags.evaluate));
    const indices = range(calibrated, last);
    const accuracies = async (models) => {
      const named = await Promise.all(
        models.map(async (each, at) => ({
          name: String(at),
          source: await pare.modelSource(each),
        })),
      );
      const rows = await pare.evaluate(named, dataset, engine, { indices, batchSize: 1 });
      return rows.map(({ classification }) => classification.top1.share);
    };
    const [base] = await accuracies([simple]);
    console.log(`| ${name} | | | 100 % | ${percent(base)} | | | n = ${indices.length} |`);
    for (const criterion of flags.criteria.split(',')) {
      for (const scope of flags.scopes.split(',')) {
        for (const share of shares) {
          await row({ name, simple, samples, accuracies, base, criterion, scope, share });
        }
      }
    }
  } finally {
    await close();
  }
}

async function row({ name, simple, samples, accuracies, base, criterion, scope, share }) {
  const options = { macs: share, criterion, scope, align: Number(flags.align) };
  const apply = (more) =>
    pare.applyPass(simple, structured, { ...options, ...more }, { engine, samples, seed: 0 });
  try {
    const plain = await apply({ refit: false, statistics: false });
    const start = performance.now();
    const repaired = await apply({ proof: false, ...JSON.parse(flags.options) });
    const seconds = (performance.now() - start) / 1000;
    const [before, after] = await accuracies([plain.model, repaired.model]);
    const lost = base - before;
    // Where next to nothing was lost, a share of it is noise.
    const share_ = lost > 0.02 ? (after - before) / lost : undefined;
    if (share_ !== undefined) recovered.get(share).push(share_);
    const costs = plain.report.details;
    const cells = [
      name,
      criterion,
      scope,
      percent(costs.after.macs / costs.before.macs),
      percent(before),
      percent(after),
      share_ === undefined ? '' : percent(share_),
      seconds.toFixed(1),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  } catch (error) {
    console.log(`| ${name} | ${criterion} | ${scope} | ${percent(1 - share)} | ${error.message} |`);
  }
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
