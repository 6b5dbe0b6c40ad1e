#!/usr/bin/env node
/**
 * Structured pruning before any training on real models: accuracy by criterion, scope and share of
 * MACs, with and without repair, and the share of the lost accuracy that the repair brings back.
 * The first 100 samples (128 where --calibrate says so) calibrate and repair, those behind them
 * evaluate; batch 1; widths are not aligned unless --align says so. BatchNormalization stays
 * unfolded for bn-scale alone, which reads it.
 *
 * usage: node bench/prune.mjs FOLDER [NAME ...] [--criteria l2,lamp,...] [--scopes global,...]
 *        [--fewer 0.2,0.3,0.5] [--calibrate 128] [--evaluate 500] [--align 1] [--options JSON]
 *        [--rows FILE] [--plain]
 * FOLDER holds models/ and data/, see bench/quantize-cases.mjs. --options are further options of
 * the pass for the repaired rows, such as '{"ridge":0.1}'. --rows keeps the rows in a file, a line
 * of JSON each: a grid of hours goes on where it was stopped, several runs make one summary.
 * --plain cuts without repairing, which takes a tenth of the time.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
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
    rows: { type: 'string' },
    plain: { type: 'boolean', default: false },
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
const { labelsOf, repeatableFeeds } = await import(new URL('data/repeatable-feeds.js', dist));
const engine = await pare.createNodeEngine({ threads: 1 });
const shares = flags.fewer.split(',').map(Number);
const rows =
  flags.rows && existsSync(flags.rows)
    ? readFileSync(flags.rows, 'utf8').trim().split('\n').filter(Boolean).map(JSON.parse)
    : [];
const header = ['model', 'criterion', 'scope', 'MACs', 'plain', 'repaired', 'recovered', 's'];
console.log(`| ${header.join(' | ')} |\n|---|---|---|${'--:|'.repeat(header.length - 3)}`);
try {
  for (const name of names) await measure(name);
} finally {
  await engine.close();
}
summarize();

async function measure(name) {
  const found = await openCase(pare, engine, folder, name);
  if (!found) return;
  const { model, dataset, close } = found;
  try {
    const simplify = async (options) =>
      (await pare.simplify(model, { unshare: true, ...options }, { engine })).model;
    const folded = await simplify({});
    const unfolded = await simplify({ exclude: ['fold-batch-norm'] });
    const calibrated = Number(flags.calibrate);
    const calibration = range(0, calibrated);
    const samples = repeatableFeeds(dataset, found.ports, calibration);
    const labels = dataset.hasLabels ? labelsOf(dataset, calibration) : undefined;
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
    const [base] = await accuracies([folded]);
    console.log(`| ${name} | | | 100 % | ${percent(base)} | | | n = ${indices.length} |`);
    for (const criterion of flags.criteria.split(',')) {
      const simple = criterion === 'bn-scale' ? unfolded : folded;
      for (const scope of flags.scopes.split(',')) {
        for (const share of shares) {
          const key = { name, criterion, scope, share };
          const isDone = (row) =>
            Object.keys(key).every((part) => row[part] === key[part]) &&
            (flags.plain || row.after !== undefined || row.error !== undefined);
          if (rows.some(isDone)) continue;
          const row = { ...key, base, ...(await measureRow({ simple, samples, labels }, key)) };
          rows.push(row);
          if (flags.rows) appendFileSync(flags.rows, `${JSON.stringify(row)}\n`);
          print(row);
        }
      }
    }

    async function measureRow({ simple, samples, labels }, { criterion, scope, share }) {
      const options = { macs: share, criterion, scope, align: Number(flags.align) };
      const context = { engine, samples, labels, seed: 0 };
      const apply = (more) => pare.applyPass(simple, structured, { ...options, ...more }, context);
      try {
        const plain = await apply({ refit: false, statistics: false });
        const { before: whole, after: left } = plain.report.details;
        const macs = left.macs / whole.macs;
        if (flags.plain) return { macs, before: (await accuracies([plain.model]))[0] };
        const start = performance.now();
        const repaired = await apply({ proof: false, ...JSON.parse(flags.options) });
        const seconds = (performance.now() - start) / 1000;
        const [before, after] = await accuracies([plain.model, repaired.model]);
        return { macs, before, after, seconds };
      } catch (error) {
        return { error: error.message };
      }
    }
  } finally {
    await close();
  }
}

function print({ name, criterion, scope, share, error, ...row }) {
  const cells = error
    ? [percent(1 - share), error]
    : [
        percent(row.macs),
        percent(row.before),
        percent(row.after),
        percent(recovered(row)),
        row.seconds?.toFixed(1) ?? '',
      ];
  console.log(`| ${[name, criterion, scope, ...cells].join(' | ')} |`);
}

/** Share of the lost accuracy that came back; undefined where so little was lost that it is noise. */
function recovered({ base, before, after }) {
  const lost = base - before;
  return after !== undefined && lost > 0.02 ? (after - before) / lost : undefined;
}

/** By model and share: the best and the worst, and how much repair brings. */
function summarize() {
  const measured = rows.filter(({ after }) => after !== undefined);
  const table = ['model', 'fewer MACs', 'rows', 'plain', 'repaired', 'best', 'recovered'];
  console.log(`\n| ${table.join(' | ')} |\n|---|${'--:|'.repeat(table.length - 1)}`);
  const spread = (all) => [0, 0.5, 1].map((at) => percent(quantile(all, at))).join(' / ');
  for (const [name, ofModel] of groups(measured, ({ name }) => name)) {
    for (const [share, all] of groups(ofModel, ({ share }) => share)) {
      const best = all.reduce((a, b) => (b.after > a.after ? b : a));
      const cells = [
        name,
        percent(share),
        all.length,
        spread(all.map(({ before }) => before)),
        spread(all.map(({ after }) => after)),
        `${best.criterion} ${best.scope}`,
        percent(quantile(all.map(recovered), 0.5)),
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
  for (const [share, all] of groups(measured, ({ share }) => share)) {
    const shares = all.map(recovered).filter((each) => each !== undefined);
    console.log(
      `${percent(share)} fewer MACs: median recovery ${percent(quantile(shares, 0.5))} of what was lost, ${shares.length} rows`,
    );
  }
  rank();
}

/** By criterion and scope: points below the original behind the repair, in the mean of all models. */
function rank() {
  const measured = rows.filter(({ after }) => after !== undefined);
  for (const [share, ofShare] of groups(measured, ({ share }) => share)) {
    const lines = [...groups(ofShare, ({ criterion, scope }) => `${criterion} ${scope}`)].map(
      ([name, all]) => ({
        name,
        count: new Set(all.map(({ name }) => name)).size,
        plain: mean(all.map(({ base, before }) => base - before)),
        repaired: mean(all.map(({ base, after }) => base - after)),
        worst: Math.max(...all.map(({ base, after }) => base - after)),
      }),
    );
    lines.sort((a, b) => b.count - a.count || a.repaired - b.repaired);
    console.log(`\n${percent(share)} fewer MACs, points lost: models, plain, repaired, worst`);
    for (const { name, count, ...lost } of lines) {
      const points = Object.values(lost).map((each) => (100 * each).toFixed(1).padStart(6));
      console.log(`${name.padEnd(28)} ${count} ${points.join(' ')}`);
    }
  }
}

function groups(all, keyOf) {
  const found = new Map();
  for (const each of all) found.set(keyOf(each), [...(found.get(keyOf(each)) ?? []), each]);
  return found;
}

function quantile(all, at) {
  const sorted = all.filter((each) => each !== undefined).sort((a, b) => a - b);
  return sorted[Math.round(at * (sorted.length - 1))];
}

function mean(all) {
  return all.reduce((sum, each) => sum + each, 0) / all.length;
}

function percent(share) {
  return share === undefined ? '' : `${(100 * share).toFixed(1)} %`;
}
