#!/usr/bin/env node
/**
 * How much of its accuracy a pruned model gets back by training, against the original trained on
 * the same samples for as many epochs. Prints a row as soon as it is known: baseline, cut, trained,
 * difference in points, minutes. Samples that evaluate never train, prune or choose.
 *
 * `labels`: the original learns from labels first, that is the baseline; it is cut, and the cut
 * model learns from labels and from the baseline alike. `teacher`: no label is used; the baseline
 * is the original as it is, since its own outputs teach it nothing, and the last weights count, not
 * the best. Where the data has no part of its own to evaluate on (kws, vww) each of the folds is
 * evaluated by models that trained on the others, and all folds are counted together.
 *
 * usage: node bench/recover.mjs FOLDER [--rows NAME,...] [--learn labels,teacher] [--epochs N]
 *        [--baseline-epochs N] [--train N] [--seen N] [--threads N] [--augment JSON] [--options JSON]
 *        [--prune JSON] [--first JSON] [--parts N] [--last] [--out FILE] [--keep FOLDER]
 * FOLDER holds models/ and data/, see bench/quantize-cases.mjs. --seen is what pruning looks at.
 * --augment are further options of original and student alike, --options of the student's training
 * alone, --prune of the cut. Originals learn labels fast and forget with time: --baseline-epochs is
 * how long they may. --first, for labels: the original as it came is cut, and its cut learns from it
 * with these options before it learns from labels. --parts makes the cut in so many rounds. --last:
 * the last weights of the student count, not those of the best epoch. --out appends rows to a file,
 * --keep reuses models between calls.
 */
import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cases, otherCases, range } from './quantize-cases.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    rows: { type: 'string' },
    learn: { type: 'string', default: 'labels,teacher' },
    epochs: { type: 'string' },
    'baseline-epochs': { type: 'string' },
    train: { type: 'string' },
    seen: { type: 'string', default: '1000' },
    threads: { type: 'string', default: '1' },
    augment: { type: 'string', default: '{}' },
    options: { type: 'string', default: '{}' },
    first: { type: 'string' },
    parts: { type: 'string' },
    prune: { type: 'string', default: '{}' },
    out: { type: 'string' },
    keep: { type: 'string' },
    last: { type: 'boolean', default: false },
  },
});
const use = (path) => import(new URL(`../dist/${path}`, import.meta.url));
const pare = { ...(await use('index.js')), ...(await use('node.js')) };
const { repeatableFeeds, labelsOf } = await use('data/repeatable-feeds.js');
const { permutation } = await use('random.js');

const cifarTrain = 'cifar10-train-12000.zip';
const pictures = { flip: true, shift: 3 };
/** What a student adds. Mixtures multiply the samples, but have no labels. */
const students = { teacher: { mixup: 0.5 }, labels: { labelShare: 0.5 } };
/**
 * What is trained on, evaluated on, in how many folds, for how many epochs; `validate` is how many
 * of the samples choose the best epoch where labels are learned from.
 */
const data = {
  resnet20: { train: cifarTrain, epochs: 20, validate: 500, options: pictures },
  lenet: { train: 'mnist/train-images-idx3-ubyte.gz', most: 12000, epochs: 5, validate: 500 },
  kws: { folds: 5, epochs: 120 },
  vww: { folds: 4, epochs: 60, options: { flip: true, shift: 6 } },
};
const structured = (macs) => ({ method: 'structured', options: { macs, align: 4 } });
/** By name: the model, and how it is pruned. */
const rows = {
  lenet: { model: 'lenet', ...structured(0.5) },
  kws: { model: 'kws', ...structured(0.5) },
  vww: { model: 'vww', ...structured(0.5) },
  'resnet20-50': { model: 'resnet20', ...structured(0.5) },
  'resnet20-65': { model: 'resnet20', ...structured(0.65) },
  'resnet20-zeros-80': {
    model: 'resnet20',
    method: 'unstructured',
    options: { sparsity: 0.8, scope: 'global' },
    // Weights leave while it trains; the column `cut` is what the same share costs at once.
    gradual: { sparsity: 0.8 },
  },
};
const [folder] = positionals;
const wanted = flags.rows ? flags.rows.split(',') : Object.keys(rows);
const unknown = wanted.find((name) => !(name in rows));
if (!folder || unknown) {
  console.error(unknown ? `no row "${unknown}": ${Object.keys(rows)}` : 'give FOLDER');
  process.exit(2);
}
const engine = await pare.createNodeEngine({ threads: Number(flags.threads) });
/** By model and fold: the model that was trained on labels. */
const baselines = new Map();
/** How to close the files of models that an earlier call has kept. */
const opened = [];
tell('| row | learns from | train | evaluate | baseline | cut | trained | difference | minutes |');
tell(`|---|---|${'--:|'.repeat(7)}`);
try {
  for (const name of wanted) {
    for (const learn of flags.learn.split(',')) await measure(name, learn);
  }
} finally {
  for (const close of opened) await close();
  await engine.close();
}

async function measure(name, learn) {
  const { model: caseName, method, options, gradual } = rows[name];
  const subject = await open(caseName);
  const { model, close, folds } = subject;
  const total = { baseline: 0, cut: 0, trained: 0, n: 0, train: 0, seconds: 0 };
  try {
    for (const [at, part] of folds.entries()) {
      const fold = learn === 'labels' ? choosing(part, subject.own.validate) : part;
      const key = `${caseName}-${at}`;
      const original = learn === 'labels' ? await baselineOf(key, subject, fold) : model;
      const begin = performance.now();
      const isTwoFold = learn === 'labels' && flags.first !== undefined;
      const source = isTwoFold ? model : original;
      const { model: simple } = await pare.simplify(source, { unshare: true }, { engine });
      const seen = fold.train.subarray(0, Number(flags.seen));
      const context = {
        engine,
        samples: repeatableFeeds(fold.dataset, subject.ports, seen),
        labels: learn === 'labels' ? labelsOf(fold.dataset, seen) : undefined,
      };
      const pruning = { ...options, ...JSON.parse(flags.prune) };
      const { model: cut } = await pare.prune(simple, method, pruning, context);
      const start = gradual ? simple : cut;
      const first = isTwoFold
        ? await keptAs(`${name}-${learn}-${at}-first`, () => {
            const options = { ...students.teacher, ...gradual, ...JSON.parse(flags.first) };
            const { train, dataset } = fold;
            return tune(subject, { train, dataset }, { student: start, teacher: model, options });
          })
        : start;
      const own = { ...students[learn], ...JSON.parse(flags.options) };
      const learned = flags.last ? { ...fold, validate: undefined } : fold;
      const trained = flags.parts
        ? await inParts(subject, learned, { method, pruning, simple, original, own, context })
        : await tune(subject, learned, {
            student: first,
            teacher: original,
            options: { ...(isTwoFold ? {} : gradual), ...own },
          });
      total.seconds += (performance.now() - begin) / 1000;
      const right = await rightOf([original, cut, trained], fold);
      if (isTwoFold) {
        const [of] = await rightOf([first], fold);
        console.error(`  ${name}: ${((100 * of) / fold.evaluate.length).toFixed(2)} before labels`);
      }
      for (const [i, stage] of ['baseline', 'cut', 'trained'].entries()) total[stage] += right[i];
      total.n += fold.evaluate.length;
      total.train = fold.train.length;
    }
  } finally {
    await close();
  }
  const share = (stage) => (100 * total[stage]) / total.n;
  const difference = share('trained') - share('baseline');
  const cells = [
    name,
    learn,
    total.train,
    total.n,
    ...['baseline', 'cut', 'trained'].map((stage) => share(stage).toFixed(2)),
    `${difference > 0 ? '+' : ''}${difference.toFixed(2)}`,
    (total.seconds / 60).toFixed(1),
  ];
  tell(`| ${cells.join(' | ')} |`);
}

/** The cut in as many rounds, with a part of the epochs behind each. */
async function inParts(subject, fold, { method, pruning, simple, original, own, context }) {
  const { dataset, train, validate = range(0, 0) } = fold;
  const finetune = {
    epochs: Number(flags.epochs ?? subject.own.epochs),
    ...subject.own.options,
    ...own,
  };
  const { model } = await pare.pruneAndTrain(
    simple,
    { method, prune: pruning, rounds: Number(flags.parts), finetune },
    { ...context, training: { dataset, train, validate, teacher: original } },
  );
  return model;
}

/** The original after as many epochs on labels, made once per model and fold. */
async function baselineOf(key, subject, fold) {
  if (!baselines.has(key)) {
    const epochs = flags['baseline-epochs'];
    const options = epochs ? { epochs: Number(epochs) } : {};
    const model = await keptAs(key, () => tune(subject, fold, { student: subject.model, options }));
    const [before, after] = await rightOf([subject.model, model], fold);
    const percent = (right) => ((100 * right) / fold.evaluate.length).toFixed(2);
    console.error(`${key}: ${percent(before)} before, ${percent(after)} behind labels`);
    baselines.set(key, model);
  }
  return baselines.get(key);
}

/** What a call before this one has written, or what is made now. */
async function keptAs(key, make) {
  const file = flags.keep && join(flags.keep, `${key}.onnx`);
  if (file && existsSync(file)) {
    const { model, close } = await pare.openModel(file);
    opened.push(close);
    return model;
  }
  const model = await make();
  if (file) await pare.saveModel(model, file);
  return model;
}

/** The same part of the data; its first samples choose the best epoch instead of training. */
function choosing(fold, count = 0) {
  const { train } = fold;
  return { ...fold, train: train.subarray(count), validate: train.subarray(0, count) };
}

async function tune(
  { own },
  { dataset, train, validate = range(0, 0) },
  { student, teacher, options },
) {
  const { model } = await pare.finetune({
    student,
    teacher,
    dataset,
    train,
    validate,
    engine,
    options: { epochs: Number(flags.epochs ?? own.epochs), ...own.options, ...options },
    onRestart: ({ from, to }) => console.error(`  rate ${from} was too high, again at ${to}`),
    onEpoch: ({ epoch, loss, seconds }) =>
      console.error(`  epoch ${epoch}: loss ${loss.toFixed(4)}, ${seconds.toFixed(0)} s`),
  });
  return model;
}

/** How many of the samples each model gets right. */
async function rightOf(models, { test, evaluate }) {
  const named = models.map(async (model, at) => ({
    name: String(at),
    source: await pare.modelSource(model),
  }));
  const evaluations = await pare.evaluate(await Promise.all(named), test, engine, {
    indices: evaluate,
    batchSize: 50,
  });
  return evaluations.map(({ classification: { top1 } }) => Math.round(top1.share * top1.n));
}

async function open(name) {
  const [file, testFile, preprocess] = { ...cases, ...otherCases }[name];
  const own = { ...data[name], options: { ...data[name].options, ...JSON.parse(flags.augment) } };
  const path = join(folder, 'models', file);
  const session = await engine.createSession({ path });
  const ports = session.inputs;
  await session.release();
  const read = (from) => pare.openData(join(folder, 'data', from), { ports, preprocess });
  const test = await read(testFile);
  const dataset = own.train ? await read(own.train) : test;
  const order = permutation(dataset.size, 1);
  const { model, close } = await pare.openModel(path);
  return { own, ports, model, close, folds: own.train ? [whole()] : parts() };

  function whole() {
    const most = Math.min(Number(flags.train ?? own.most ?? dataset.size), dataset.size);
    return { dataset, test, train: order.slice(0, most), evaluate: range(0, test.size) };
  }

  function parts() {
    return Array.from({ length: own.folds }, (_, fold) => {
      const isHeld = (at) => at % own.folds === fold;
      const train = order.filter((_, at) => !isHeld(at));
      const evaluate = order.filter((_, at) => isHeld(at));
      return { dataset, test, train, evaluate };
    });
  }
}

function tell(line) {
  console.log(line);
  if (flags.out) appendFileSync(flags.out, `${line}\n`);
}
