#!/usr/bin/env node
/**
 * Real removal by the scores of an explanation: the least important units leave the model, nothing
 * is repaired or trained, and what is left is measured on samples that no score has seen. Each score
 * of `pare explain` cuts by itself, and so do criteria of `pare prune` that look at weights. Where
 * several layers make a width (a residual stream), scores that compare across layers are added,
 * since all that they count is lost at once; others are divided by the mean of their layer and
 * averaged. Units of all layers compete, as in `pare prune --scope global`.
 *
 * usage: node bench/removal.mjs FOLDER [NAME ...] [--share 20%] [--explain 500] [--evaluate 1000]
 *        [--criteria l1,l2,lamp] [--no-ablation]
 * FOLDER holds models/ and data/, see bench/quantize-cases.mjs. The first samples explain, those
 * behind them evaluate.
 */
import { parseArgs } from 'node:util';
import { openCase, range, usePare } from './quantize-cases.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    share: { type: 'string', default: '20%' },
    explain: { type: 'string', default: '500' },
    evaluate: { type: 'string', default: '1000' },
    criteria: { type: 'string', default: 'l1,l2,lamp' },
    ablation: { type: 'boolean', default: true },
  },
});
const [folder, ...wanted] = positionals;
if (!folder) {
  console.error('usage: node bench/removal.mjs FOLDER [NAME ...]');
  process.exit(2);
}
const dist = new URL('../dist/', import.meta.url);
const use = (path) => import(new URL(path, dist));
const pare = await usePare(dist);
const { explain } = await use('explain/explain.js');
const { analyzeCoupling } = await use('prune/analyze-coupling.js');
const { criterionNamed } = await use('prune/criteria/index.js');
const { collectData } = await use('prune/criterion-data.js');
const { applyCut } = await use('prune/cut.js');
const { proveCut } = await use('prune/proof.js');
const { scoresOf } = await use('prune/scores.js');
const { costModel } = await use('prune/select/cost.js');
const { selectUnits } = await use('prune/select/select.js');
const { cloneModel } = await use('graph/clone.js');
const engine = await pare.createNodeEngine({ threads: 1 });
const share = Number.parseFloat(flags.share) / 100;
const percent = (value) => `${(100 * value).toFixed(1)} %`;
console.log('| model | score | accuracy | lost | units | MACs | error of the cut |');
console.log('|---|---|--:|--:|--:|--:|--:|');
try {
  for (const name of wanted.length > 0 ? wanted : ['resnet20', 'lenet']) await measure(name);
} finally {
  await engine.close();
}

async function measure(name) {
  const found = await openCase(pare, engine, folder, name);
  if (!found) return;
  const { model, dataset, close } = found;
  try {
    const seen = Number(flags.explain);
    const indices = range(seen, Math.min(dataset.size, seen + Number(flags.evaluate)));
    const part = Object.create(dataset, { parts: { value: { test: { start: 0, end: seen } } } });
    const options = { samples: seen, faithfulness: false, inputs: 0, ablation: flags.ablation };
    const { layers, criteria } = await explain(model, part, options, { engine });
    const { model: simple } = await pare.simplify(model, { unshare: true }, { engine });
    const accuracyOf = async (each) => {
      const models = [{ name: 'model', source: await pare.modelSource(each) }];
      const [{ classification }] = await pare.evaluate(models, dataset, engine, { indices });
      return classification.top1.share;
    };
    const base = await accuracyOf(simple);
    console.log(`| ${name} | none, ${indices.length} samples | ${percent(base)} | | | | |`);
    const open = () => analyzeCoupling(cloneModel(simple), {}, { engine });
    const cutBy = async (label, scoreAll) => {
      const coupling = await open();
      const scored = await scoreAll(coupling);
      const costs = await costModel(coupling, typesOf(coupling));
      const target = { kind: 'ratio', share };
      const rest = { scope: 'global', align: 1, largestShare: 0.8 };
      const { cut, before, after } = selectUnits(scored, target, costs, rest);
      const smaller = cloneModel(coupling.model);
      await applyCut(smaller, coupling, cut);
      const { relativeError } = await proveCut(coupling, cut, smaller, {}, { engine });
      const accuracy = await accuracyOf(smaller);
      const gone = [...cut.values()].reduce((sum, { size }) => sum + size, 0);
      const all = scored.reduce((sum, { family }) => sum + family.units, 0);
      console.log(
        `| | ${label} | ${percent(accuracy)} | ${(100 * (base - accuracy)).toFixed(1)} | ${gone} of ${all} | ${percent(after.macs / before.macs)} | ${relativeError.toExponential(1)} |`,
      );
    };
    for (const { name: score, comparable } of criteria) {
      const byLayer = new Map(layers.map((layer) => [layer.id, layer.scores[score]]));
      await cutBy(`explain: ${score}`, async (coupling) => {
        const all = coupling.families.map((family) => ({
          family,
          rows: rowsOf(family, byLayer, comparable),
        }));
        const none = all.filter(({ rows }) => rows.length === 0);
        if (none.length > 0) console.error(`${name}: no ${score} of ${none[0].family.id}`);
        return all
          .filter(({ rows }) => rows.length > 0)
          .map(({ family, rows }) => ({
            family,
            scores: scoresOf(rows, comparable ? 'sum' : 'mean', 'none'),
          }));
      });
    }
    for (const criterion of flags.criteria.split(',').filter(Boolean)) {
      await cutBy(`prune: ${criterion}`, async (coupling) => {
        const known = criterionNamed(criterion);
        const data = await collectData(coupling, coupling.families, known, { seed: 0 });
        return coupling.families.map((family) => ({
          family,
          scores: scoresOf(known.score(family, data), 'mean', 'mean'),
        }));
      });
    }
  } finally {
    await close();
  }
}

/** Per layer that makes the width, a score per unit of the family; several indices are a mean. */
function rowsOf(family, byLayer, comparable) {
  return family.members.flatMap(({ side, node, unitOf }) => {
    const scores = side === 'out' && byLayer.get(node.label);
    if (!scores || scores.length !== unitOf.length) return [];
    const sums = new Float64Array(family.units);
    const counts = new Float64Array(family.units);
    unitOf.forEach((unit, index) => {
      if (unit < 0) return;
      sums[unit] += scores[index];
      counts[unit]++;
    });
    const mean = comparable ? 1 : scores.reduce((a, b) => a + b, 0) / scores.length || 1;
    return [sums.map((sum, unit) => sum / Math.max(1, counts[unit]) / mean)];
  });
}

function typesOf({ dims }) {
  return (value) => {
    const found = dims.get(value) ?? value.constant?.dims;
    return found && { dataType: value.dataType ?? 'float', dims: found };
  };
}
