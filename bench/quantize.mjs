#!/usr/bin/env node
/**
 * Static quantization by pare's defaults on real models, beside onnxruntime's quantize_static
 * where a Python interpreter with onnxruntime is given: accuracy, flips, SNR, speed-up and seconds,
 * all measured by pare in the same run. The first 100 samples calibrate, the others (1,000 at
 * most) evaluate; batch 1; timing at 1 thread, all models of a row in turn in every round.
 *
 * usage: node bench/quantize.mjs FOLDER [NAME ...] [--python PYTHON] [--also NAME=JSON ...]
 *        [--rounds 60] [--dist DIR]
 * FOLDER holds models/ and data/, see bench/quantize-cases.mjs. --also adds a set of options of the
 * static scheme as rows of its own: --also 'mse={"calibrator":"mse"}'. In them "before" lists
 * recipe steps that come first, by name or as {"pass":NAME,"options":{}}, and "scheme" names
 * another scheme, or is null for none: --also 'equalized={"before":["equalize"]}'.
 * Seconds are those of quantizing alone, with samples in memory and the model prepared (simplify
 * for pare, quant_pre_process for the peer). Run it on a quiet machine.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { cases, openCase, usePare } from './quantize-cases.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string' },
    also: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '60' },
    dist: { type: 'string' },
  },
});
const [folder, ...wanted] = positionals;
const unknown = wanted.filter((name) => !(name in cases));
if (!folder || unknown.length > 0) {
  for (const name of unknown) console.error(`there is no case "${name}"`);
  console.error(`usage: node bench/quantize.mjs FOLDER [NAME ...] [--python PYTHON]`);
  console.error(`cases: ${Object.keys(cases).join(', ')}`);
  process.exit(2);
}
const dist = flags.dist
  ? pathToFileURL(`${resolve(flags.dist)}/`)
  : new URL('../dist/', import.meta.url);
const pare = await usePare(dist);

/** Columns of pare: options of the static scheme by label, with what --also adds to them. */
const schemes = [['pare', {}]];
for (const text of flags.also) {
  const at = text.indexOf('=');
  schemes.push([`pare ${text.slice(0, at)}`, JSON.parse(text.slice(at + 1))]);
}
const peers = { 'ort min-max': 'minmax', 'ort percentile': 'percentile' };
const peerScript = fileURLToPath(new URL('peers/quantize_static.py', import.meta.url));

const machine = pare.describeMachine();
const engine = await pare.createNodeEngine({ threads: machine.cores });
const single = await pare.createNodeEngine({ threads: 1 });
const temp = mkdtempSync(join(tmpdir(), 'pare-bench-'));
const peerVersion = flags.python ? checkPeer() : undefined;

console.log(
  `${machine.cpu}, ${machine.cores} cores, VNNI ${machine.vnni}, load ${loadavg()[0].toFixed(1)}`,
);
console.log(`Node ${machine.node}, ${engine.name} ${engine.version}`);
if (peerVersion)
  console.log(`peer: onnxruntime ${peerVersion}, quantize_static, QDQ, u8 s8 per channel`);
else {
  const why = flags.python
    ? `${flags.python} cannot import onnxruntime.quantization`
    : 'give a Python with onnxruntime, onnx and sympy by --python';
  console.log(`peer: not run, ${why}`);
}
const header = [
  'model',
  'by',
  'acc',
  'flips',
  'SNR dB',
  'ms',
  'speed-up',
  'seconds',
  'MB peak',
  'n',
];
console.log(`\n| ${header.join(' | ')} |\n|---|---|${'--:|'.repeat(header.length - 2)}`);

/** Per column: speed-ups; flips by case. */
const speedUps = new Map();
const flips = new Map();
const remarks = [];
let failures = 0;
try {
  for (const name of wanted.length > 0 ? wanted : Object.keys(cases)) {
    try {
      await measure(name);
    } catch (error) {
      failures++;
      console.log(`| ${name} | failed: ${error.message} |`);
    }
  }
} finally {
  rmSync(temp, { recursive: true, force: true });
  await engine.close();
  await single.close();
}
summarize();
process.exitCode = failures > 0 ? 1 : 0;

async function measure(name) {
  const found = await openCase(pare, engine, folder, name);
  if (!found) return;
  try {
    await measureCase(name, found);
  } finally {
    await found.close();
  }
}

async function measureCase(name, { path, model, dataset, evaluate, feeds: firstFeeds }) {
  const samples = [];
  for await (const feeds of firstFeeds()) samples.push(feeds);
  const rows = [{ label: 'float', source: { path } }];
  const simple = (await pare.simplify(model, {}, { engine })).model;
  for (const [label, options] of schemes)
    rows.push(await quantize(name, label, simple, samples, options));
  if (peerVersion) rows.push(...runPeers(name, path, samples));
  const models = rows.map(({ label, source }) => ({ name: label, source }));
  const evaluations = await pare.evaluate(models, dataset, engine, { indices: evaluate });
  const { rows: timed } = await pare.bench(models, samples[0], single, {
    threads: [1],
    rounds: Number(flags.rounds),
    maxMs: 15_000,
    memory: false,
  });
  for (const [at, { label, seconds, peakBytes }] of rows.entries()) {
    const { classification, flips: flipped, outputs, samples: n } = evaluations[at];
    const { medianMs, speedUp } = timed[at];
    if (speedUp) push(speedUps, label, speedUp.ratio);
    if (flipped) push(flips, label, { name, ...flipped });
    print([
      at === 0 ? name : '',
      label,
      (100 * classification.top1.share).toFixed(2),
      flipped ? `${(100 * flipped.share).toFixed(2)} %` : '',
      outputs[0].agreement?.snrDb?.toFixed(1) ?? '',
      medianMs.toFixed(3),
      speedUp ? `${speedUp.ratio.toFixed(2)} ${interval(speedUp.interval)}` : '',
      seconds?.toFixed(2) ?? '',
      peakBytes ? (peakBytes / 1e6).toFixed(0) : '',
      at === 0 ? String(n) : '',
    ]);
  }
}

async function quantize(
  name,
  label,
  simple,
  samples,
  { before = [], scheme = 'static', ...options },
) {
  const start = performance.now();
  const steps = before.map((step) =>
    typeof step === 'string' ? { pass: step, options: {} } : { options: {}, ...step },
  );
  if (scheme) steps.push({ pass: scheme, options });
  const { model, reports } = await pare.runRecipe(simple, steps, {
    engine,
    samples: async function* () {
      yield* samples;
    },
  });
  const seconds = (performance.now() - start) / 1000;
  const report = reports.at(-1);
  for (const { pass, notes } of reports) {
    for (const note of notes) remarks.push(`${name}, ${label}: ${pass}, ${note}`);
  }
  if (scheme !== 'static') return { label, seconds, source: await pare.modelSource(model) };
  const changed = new Set(report.changed.map(({ node }) => node));
  const nodes = [...model.graph.nodes].filter((node) => changed.has(node.label));
  const { unfused, operators } = await pare.checkFusion(engine, model, nodes);
  const float = unfused.length === 0 ? '' : `; not fused: ${unfused[0].node} ${unfused[0].reason}`;
  remarks.push(
    `${name}, ${label}: ${changed.size - unfused.length} of ${changed.size} quantized nodes fused` +
      `, ${operators.QuantizeLinear ?? 0} Q and ${operators.DequantizeLinear ?? 0} DQ left${float}`,
  );
  return { label, seconds, source: await pare.modelSource(model) };
}

/** One model of each method; the samples go there as one npz file. */
function runPeers(name, path, samples) {
  const file = join(temp, `${name}.npz`);
  writeFileSync(file, pare.encodeNpz(stackSamples(samples)));
  const rows = [];
  for (const [label, method] of Object.entries(peers)) {
    const out = join(temp, `${name}-${method}.onnx`);
    const result = python([peerScript, path, file, out, method]);
    if (result.status === 0) {
      const { seconds, peakBytes } = JSON.parse(result.stdout.trim().split('\n').at(-1));
      rows.push({ label, seconds, peakBytes, source: { path: out } });
    } else remarks.push(`${name}, ${label}: failed, ${result.stderr.trim().split('\n').at(-1)}`);
  }
  rmSync(file);
  return rows;
}

function stackSamples(samples) {
  const arrays = {};
  for (const [input, { dataType, dims, data }] of Object.entries(samples[0])) {
    const all = new data.constructor(data.length * samples.length);
    for (const [at, feeds] of samples.entries()) all.set(feeds[input].data, at * data.length);
    arrays[input] = { dataType, dims: [samples.length, ...dims], data: all };
  }
  return arrays;
}

function checkPeer() {
  const text = 'import onnxruntime, onnxruntime.quantization as q; print(onnxruntime.__version__)';
  const { status, stdout } = python(['-c', text]);
  return status === 0 ? stdout.trim() : undefined;
}

function python(args) {
  return spawnSync(flags.python, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
}

/** Geometric means, and pare's default against the better of the peer's columns. */
function summarize() {
  console.log('');
  for (const [label, ratios] of speedUps) {
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
    console.log(`${label}: geometric mean of ${ratios.length} speed-ups ${mean.toFixed(2)}`);
  }
  const compared = [];
  for (const own of flips.get('pare') ?? []) {
    const others = Object.keys(peers)
      .flatMap((label) => flips.get(label) ?? [])
      .filter(({ name }) => name === own.name);
    if (others.length === 0) continue;
    const best = others.reduce((least, other) => (other.share < least.share ? other : least));
    // Two standard errors of the difference of two shares of the same samples.
    const noise =
      2 * Math.sqrt((own.share * (1 - own.share) + best.share * (1 - best.share)) / own.n);
    compared.push({
      name: own.name,
      less: own.share < best.share,
      behind: own.share - best.share > noise,
    });
  }
  if (compared.length > 0) {
    const behind = compared.filter((row) => row.behind).map(({ name }) => name);
    console.log(
      `pare's default has fewer flips than the better peer on ${compared.filter(({ less }) => less).length} of ${compared.length}; behind by more than noise: ${behind.join(', ') || 'none'}`,
    );
  }
  for (const remark of remarks) console.log(remark);
  console.log(`load at the end ${loadavg()[0].toFixed(1)}`);
}

function push(map, key, value) {
  if (!map.has(key)) map.set(key, []);
  map.get(key).push(value);
}

function print(cells) {
  console.log(`| ${cells.join(' | ')} |`);
}

function interval(bounds) {
  return bounds ? `[${bounds.map((bound) => bound.toFixed(2)).join(', ')}]` : '';
}
