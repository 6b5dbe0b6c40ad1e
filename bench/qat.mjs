#!/usr/bin/env node
/**
 * Quantization-aware training beside post-training quantization at the same format: top-1 of the
 * float model, of the file that the static scheme writes, and of that file after training, on
 * samples that neither calibrated nor trained. The teacher is the float model; labels are not used
 * unless --options says so.
 *
 * usage: node bench/qat.mjs FOLDER [NAME ...] [--format NAME ...] [--train N] [--options JSON]
 *        [--seed 0] [--folds N] [--verbose]
 * FOLDER holds models/ and data/. resnet8 trains on a set of its own; kws has 500 samples, and is
 * trained five times on 400 of them, each time evaluated on the other 100; the sums count.
 * --folds runs fewer of these five. --train limits the training samples, --options are those of finetune.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cases as allCases, range } from './quantize-cases.mjs';

const cases = {
  resnet8: { train: 'cifar10-train-12000.zip', options: { epochs: 5, flip: true, shift: 2 } },
  kws: { folds: 5, options: { epochs: 20, batchSize: 32 } },
};
const formats = {
  int8: {},
  int4: { weights: 'int4' },
  'int4 per tensor': { weights: 'int4', perChannel: false },
};
const calibrationCount = 100;

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    format: { type: 'string', multiple: true, default: ['int4', 'int4 per tensor'] },
    train: { type: 'string' },
    options: { type: 'string', default: '{}' },
    seed: { type: 'string', default: '0' },
    folds: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const [folder, ...wanted] = positionals;
const unknown = [
  ...wanted.filter((name) => !(name in cases)),
  ...flags.format.filter((name) => !(name in formats)),
];
if (!folder || unknown.length > 0) {
  for (const name of unknown) console.error(`there is no "${name}"`);
  console.error('usage: node bench/qat.mjs FOLDER [NAME ...] [--format NAME ...] [--train N]');
  console.error(`cases: ${Object.keys(cases).join(', ')}; formats: ${Object.keys(formats)}`);
  process.exit(2);
}
const use = (path) => import(new URL(`../dist/${path}`, import.meta.url));
const pare = {
  ...(await use('data/node.js')),
  ...(await use('data/repeatable-feeds.js')),
  ...(await use('engine/model-source.js')),
  ...(await use('engine/node.js')),
  ...(await use('measure/compare-outputs.js')),
  ...(await use('measure/evaluate.js')),
  ...(await use('node.js')),
  ...(await use('pass.js')),
  ...(await use('quantize/static.js')),
  ...(await use('random.js')),
  ...(await use('simplify/index.js')),
  ...(await use('train/finetune.js')),
};
const engine = await pare.createNodeEngine({ threads: 1 });
console.log(`Node ${process.version}, ${engine.name} ${engine.version}\n`);
console.log(
  '| model | weights | samples | float | static | trained | gained | agreement as written, as run, flips | s |',
);
console.log('|---|---|--:|--:|--:|--:|--:|---|--:|');
try {
  for (const name of wanted.length > 0 ? wanted : Object.keys(cases)) {
    for (const format of flags.format) await compare(name, format);
  }
} finally {
  await engine.close();
}

async function compare(name, format) {
  const [file, dataFile, preprocess] = allCases[name];
  const { train: trainFile, folds, options } = cases[name];
  const path = join(folder, 'models', file);
  const files = [dataFile, ...(trainFile ? [trainFile] : [])].map((each) =>
    join(folder, 'data', each),
  );
  const missing = [path, ...files].filter((each) => !existsSync(each));
  if (missing.length > 0) return console.error(`${name}: skipped, ${missing} not there`);
  const { model, close } = await pare.openModel(path);
  const session = await engine.createSession({ path });
  const ports = session.inputs;
  await session.release();
  const [evaluated, trained = evaluated] = await Promise.all(
    files.map((each) => pare.openPath(each, { ports, preprocess })),
  );
  const float = (await pare.simplify(model, {}, { engine })).model;
  const total = {
    samples: 0,
    float: 0,
    static: 0,
    trained: 0,
    seconds: 0,
    written: Infinity,
    run: Infinity,
    flips: 0,
  };
  for (const { train, evaluate } of splits(trained, evaluated, folds)) {
    const samples = pare.repeatableFeeds(trained, ports, train.slice(0, calibrationCount));
    const quantized = (
      await pare.applyPass(float, pare.staticScheme, formats[format], { engine, samples })
    ).model;
    const validated = Math.min(1000, Math.floor(train.length / 10));
    const start = performance.now();
    const {
      model: result,
      quantization,
      ...training
    } = await pare.finetune({
      student: quantized,
      teacher: float,
      dataset: trained,
      train: train.slice(validated),
      validate: train.slice(0, validated),
      engine,
      seed: Number(flags.seed),
      options: { ...options, ...JSON.parse(flags.options) },
      onEpoch: (row) => flags.verbose && console.error(JSON.stringify(row)),
    });
    total.seconds += (performance.now() - start) / 1000;
    if (flags.verbose)
      console.error(
        training.bestEpoch,
        training.samplesPerSecond,
        quantization.originals,
        quantization.weights,
        training.frozen,
      );
    const named = { float, static: quantized, trained: result };
    const models = await Promise.all(
      Object.entries(named).map(async ([each, of]) => ({
        name: each,
        source: await pare.modelSource(of),
      })),
    );
    for (const { model: each, classification } of await pare.evaluate(models, evaluated, engine, {
      indices: evaluate,
    })) {
      total[each] += classification.top1.count;
    }
    total.samples += evaluate.length;
    const { asWritten, asRun } = quantization.agreement;
    const snr = ({ outputs: [{ agreement }] }) => pare.snrOf(agreement);
    total.written = Math.min(total.written, snr(asWritten));
    total.run = Math.min(total.run, snr(asRun));
    total.flips = Math.max(total.flips, asRun.flips.share);
  }
  const dB = (snr) => (snr === Infinity ? 'exact' : `${snr.toFixed(1)} dB`);
  const share = (count) => `${((100 * count) / total.samples).toFixed(2)} %`;
  const gained = ((100 * (total.trained - total.static)) / total.samples).toFixed(2);
  console.log(
    `| ${name} | ${format} | ${total.samples} | ${share(total.float)} | ${share(total.static)} | ${share(total.trained)} | ${gained} | ${dB(total.written)}, ${dB(total.run)}, ${(100 * total.flips).toFixed(2)} % | ${total.seconds.toFixed(0)} |`,
  );
  await close();
}

/** Which samples train, and which evaluate. */
function* splits(trained, evaluated, folds) {
  const all = shuffled(trained.size);
  const limit = flags.train ? Number(flags.train) : trained.size;
  if (!folds) {
    yield { train: all.slice(0, limit), evaluate: range(0, evaluated.size) };
    return;
  }
  const size = Math.floor(all.length / folds);
  for (let fold = 0; fold < Number(flags.folds ?? folds); fold++) {
    const evaluate = all.slice(fold * size, (fold + 1) * size);
    const others = all.filter((_, at) => at < fold * size || at >= (fold + 1) * size);
    yield { train: others.slice(0, limit), evaluate };
  }
}

/** Classes lie one after the other in the files. */
function shuffled(count) {
  const random = pare.createRandom(Number(flags.seed));
  const order = range(0, count);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
