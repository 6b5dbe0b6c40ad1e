#!/usr/bin/env node
/**
 * What the number formats of weights cost and bring on real models: bytes of the file and quality,
 * measured by pare. Weight-only on all samples (1,000 at most), static with the first 100 samples
 * to calibrate and the others to evaluate. No timing.
 *
 * usage: node bench/formats.mjs FOLDER [weight-only|static|qoperator] [NAME ...]
 * FOLDER holds models/ and data/, see bench/quantize-cases.mjs. `qoperator` compares the outputs of
 * the two formats of static sample by sample, as the runtime runs them.
 */
import { cases, openCase, otherCases, range, usePare } from './quantize-cases.mjs';

const [folder, kind = 'weight-only', ...wanted] = process.argv.slice(2);

const weightOnly = {
  int8: {},
  'int8 nbits': { form: 'nbits' },
  float8: { weights: 'float8e4m3fn' },
  'int4 per channel': { weights: 'int4' },
  'int4 block 32': { weights: 'int4', blockSize: 32 },
  'int4 block 32 nbits': { weights: 'int4', blockSize: 32, form: 'nbits' },
  'int4 nbits': { weights: 'int4', form: 'nbits' },
  'uint4 block 32': { weights: 'uint4', blockSize: 32 },
};
const fixed = {
  int8: {},
  uint8: { weights: 'uint8' },
  int16: { weights: 'int16' },
  int4: { weights: 'int4' },
};
const kinds = {
  'weight-only': {
    rows: weightOnly,
    pass: (pare) => pare.weightOnly,
    names: ['stories260k', 'magika', 'kwt1', 'resnet20', 'lenet'],
    measure: measureQuality,
  },
  static: {
    rows: fixed,
    pass: (pare) => pare.staticScheme,
    names: ['resnet8', 'kws'],
    measure: measureQuality,
  },
  qoperator: {
    pass: (pare) => pare.staticScheme,
    names: ['resnet20', 'squeezenet1.1', 'mobilenetv2', 'kws'],
    measure: compareFormats,
  },
};
const known = { ...cases, ...otherCases };
const bad = wanted.find((name) => !(name in known));
if (!folder || !(kind in kinds) || bad) {
  if (bad) console.error(`there is no case "${bad}"`);
  console.error(
    `usage: node bench/formats.mjs FOLDER [${Object.keys(kinds).join('|')}] [NAME ...]`,
  );
  process.exit(2);
}
const pare = await usePare(new URL('../dist/', import.meta.url));
const engine = await pare.createNodeEngine({ threads: 1 });
const { names, measure } = kinds[kind];
console.log(`Node ${process.version}, ${engine.name} ${engine.version}\n`);
let failures = 0;
try {
  for (const name of wanted.length > 0 ? wanted : names) {
    const found = await openCase(pare, engine, folder, name);
    if (!found) continue;
    try {
      await measure(name, found);
    } catch (error) {
      failures++;
      console.log(`| ${name} | failed: ${error.message} |`);
    } finally {
      await found.close();
    }
  }
} finally {
  await engine.close();
}
process.exitCode = failures > 0 ? 1 : 0;

async function quantize({ model, feeds }, options) {
  const simple = (await pare.simplify(model, {}, { engine })).model;
  const samples = kind === 'weight-only' ? undefined : () => feeds();
  return pare.applyPass(simple, kinds[kind].pass(pare), options, { engine, samples });
}

async function measureQuality(name, found) {
  const { rows } = kinds[kind];
  const sources = [{ name: 'float', source: { path: found.path } }];
  for (const [label, options] of Object.entries(rows)) {
    const { model } = await quantize(found, options);
    sources.push({ name: label, source: await pare.modelSource(model) });
  }
  const floats = await pare.modelSource(found.model);
  const bytes = [floats, ...sources.slice(1).map(({ source }) => source)].map(({ parts }) =>
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  const indices =
    kind === 'weight-only' ? range(0, Math.min(1000, found.dataset.size)) : found.evaluate;
  const evaluations = await pare.evaluate(sources, found.dataset, engine, { indices });
  console.log(
    `| ${name}, ${indices.length} samples | bytes | of float | quality | flips | SNR dB |`,
  );
  console.log('|---|--:|--:|--:|--:|--:|');
  for (const [at, { name: label }] of sources.entries()) {
    const { classification, tokens, flips, outputs } = evaluations[at];
    const quality = tokens
      ? `perplexity ${tokens.perplexity.toFixed(4)}`
      : `${(100 * classification.top1.share).toFixed(2)} %`;
    const flipped = flips ? `${(100 * flips.share).toFixed(2)} %` : '';
    const snr = outputs[0].agreement?.snrDb?.toFixed(1) ?? '';
    const size = `${bytes[at]} | ${((100 * bytes[at]) / bytes[0]).toFixed(1)} %`;
    console.log(`| ${label} | ${size} | ${quality} | ${flipped} | ${snr} |`);
  }
  console.log('');
}

/** The same samples through both: how many of the output's numbers are the same bits. */
async function compareFormats(name, found) {
  const made = {};
  for (const format of ['qdq', 'qoperator']) made[format] = await quantize(found, { format });
  const { report, model } = made.qoperator;
  const sessions = [];
  for (const { model } of Object.values(made))
    sessions.push(await engine.createSession(await pare.modelSource(model)));
  let numbers = 0;
  let different = 0;
  let largest = 0;
  let samples = 0;
  for await (const feeds of found.feeds(300)) {
    samples++;
    const [a, b] = await Promise.all(sessions.map((session) => session.run(feeds)));
    for (const [output, { data }] of Object.entries(a)) {
      for (const [i, value] of data.entries()) {
        numbers++;
        const other = b[output].data[i];
        if (Object.is(value, other)) continue;
        different++;
        largest = Math.max(largest, Math.abs(value - other));
      }
    }
  }
  const counts = {};
  for (const { op } of model.graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  console.log(
    `${name}: ${samples} samples, ${different} of ${numbers} output numbers differ, by ${largest} at most`,
  );
  console.log(
    `  ${Object.entries(counts)
      .map(([op, count]) => `${count} ${op}`)
      .join(', ')}`,
  );
  for (const note of report.notes) if (note.includes('keeps')) console.log(`  ${note}`);
  for (const session of sessions) await session.release();
}
