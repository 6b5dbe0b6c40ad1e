#!/usr/bin/env node
/**
 * One round of structured pruning and training beside several, with the same number of epochs in
 * all: kws in five folds, each evaluated by a model that trained on the others, no labels. Prints a
 * row as soon as it is known: top-1 of the original and of the result over all folds, MACs, and
 * processor time, which other processes do not change.
 *
 * usage: node bench/rounds.mjs FOLDER [--criteria wanda,taylor,hessian] [--fewer 0.5,0.7]
 *        [--rounds 1,3] [--epochs 20] [--rise even|linear|cubic] [--last SHARE] [--out FILE]
 * FOLDER holds models/ and data/, see bench/quantize-cases.mjs. --rise is how the shares rise
 * (`even`: each round takes the same of what is left, as pare does), --last the share of the epochs
 * that follow the last cut (default the same for each round, as pare does).
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cases, otherCases } from './quantize-cases.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    criteria: { type: 'string', default: 'wanda,taylor,hessian' },
    fewer: { type: 'string', default: '0.5,0.7' },
    rounds: { type: 'string', default: '1,3' },
    epochs: { type: 'string', default: '20' },
    rise: { type: 'string', default: 'even' },
    last: { type: 'string' },
    out: { type: 'string' },
  },
});
const [folder] = positionals;
const rises = {
  even: undefined,
  linear: (target, time) => target * time,
  cubic: (target, time) => target * (1 - (1 - time) ** 3),
};
if (!folder || !Object.hasOwn(rises, flags.rise)) {
  console.error(folder ? `--rise: ${Object.keys(rises).join(', ')}` : 'give FOLDER');
  process.exit(2);
}
const use = (path) => import(new URL(`../dist/${path}`, import.meta.url));
const pare = { ...(await use('index.js')), ...(await use('node.js')) };
const { repeatableFeeds } = await use('data/repeatable-feeds.js');
const { roundSteps } = await use('optimize/rounds.js');
const { permutation } = await use('random.js');

const folds = 5;
/** Samples that the criterion and the repair look at. */
const seen = 64;
const numbers = (text) => text.split(',').map(Number);

const engine = await pare.createNodeEngine({ threads: 1 });
const [file, testFile, preprocess] = { ...cases, ...otherCases }.kws;
const path = join(folder, 'models', file);
const session = await engine.createSession({ path });
const ports = session.inputs;
await session.release();
const dataset = await pare.openData(join(folder, 'data', testFile), { ports, preprocess });
const order = permutation(dataset.size, 1);
const { model, close } = await pare.openModel(path);
const { macs: full } = await pare.measureMacs(engine, model);
tell('| fewer MACs | criterion | rounds | original | result | fewer MACs reached | seconds |');
tell(`|---|---|${'--:|'.repeat(5)}`);
try {
  for (const fewer of numbers(flags.fewer)) {
    for (const criterion of flags.criteria.split(',')) {
      for (const rounds of numbers(flags.rounds)) await measure(fewer, criterion, rounds);
    }
  }
} finally {
  await close();
  await engine.close();
}

async function measure(fewer, criterion, rounds) {
  const start = process.cpuUsage();
  const right = { original: 0, result: 0 };
  let macs = 0;
  for (let fold = 0; fold < folds; fold++) {
    const train = order.filter((_, at) => at % folds !== fold);
    const evaluate = order.filter((_, at) => at % folds === fold);
    const { model: result } = await pare.runRecipe(model, recipeOf(fewer, criterion, rounds), {
      engine,
      samples: repeatableFeeds(dataset, ports, train.subarray(0, seen)),
      training: { dataset, train, validate: order.subarray(0, 0), teacher: model },
    });
    right.original += await rightOf(model, evaluate);
    right.result += await rightOf(result, evaluate);
    macs += (await pare.measureMacs(engine, result)).macs / folds;
  }
  const percent = (share) => (100 * share).toFixed(2);
  const { user, system } = process.cpuUsage(start);
  const cells = [
    percent(fewer),
    criterion,
    rounds,
    percent(right.original / dataset.size),
    percent(right.result / dataset.size),
    percent(1 - macs / full),
    ((user + system) / 1e6).toFixed(0),
  ];
  tell(`| ${cells.join(' | ')} |`);
}

/** The steps of pare, with other shares and other epochs where they are asked for. */
function recipeOf(fewer, criterion, rounds) {
  const epochs = Number(flags.epochs);
  const steps = roundSteps({
    method: 'structured',
    prune: { macs: fewer, align: 4, criterion },
    finetune: { epochs },
    rounds,
  });
  const rise = rises[flags.rise];
  const early = Math.round((epochs * (1 - Number(flags.last))) / (rounds - 1));
  let round = 0;
  return steps.map(({ pass, options }) => {
    if (pass === 'prune-structured') {
      round++;
      if (rise) return { pass, options: { ...options, macs: rise(fewer, round / rounds) } };
    }
    if (pass === 'finetune' && flags.last && rounds > 1) {
      const own = round < rounds ? early : epochs - early * (rounds - 1);
      return { pass, options: { ...options, epochs: own } };
    }
    return { pass, options };
  });
}

async function rightOf(candidate, indices) {
  const source = await pare.modelSource(candidate);
  const models = [{ name: 'model', source }];
  const [evaluation] = await pare.evaluate(models, dataset, engine, { indices, batchSize: 50 });
  const { share, n } = evaluation.classification.top1;
  return Math.round(share * n);
}

function tell(line) {
  console.log(line);
  if (flags.out) appendFileSync(flags.out, `${line}\n`);
}
