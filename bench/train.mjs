#!/usr/bin/env node
/**
 * One optimizer step of pare beside PyTorch on the CPU: the same model and weights, batch, numbers,
 * threads and float32, Adam and cross-entropy. Both run in processes of their own and take turns,
 * a few steps each, so that what else the machine does hits both alike.
 *
 * usage: node bench/train.mjs FOLDER [NAME ...] [--python PYTHON] [--threads 1,2] [--rounds 6]
 *        [--dist DIR]
 * FOLDER holds models/, see bench/train-cases.mjs. PYTHON has torch and onnx; without it pare runs
 * alone. Samples per second are medians over steps; "CPU ms" is processor time per step, the least
 * of the rounds, which other programs disturb less; memory is that of the whole process, and what
 * it had before the model was loaded. "loss" is that after the same number of steps.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cases, modelOf } from './train-cases.mjs';
import { modulesOf } from './train-modules.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string' },
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '6' },
    dist: { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) },
  },
});
const [folder, ...wanted] = positionals;
const unknown = wanted.filter((name) => !(name in cases));
if (!folder || unknown.length > 0) {
  for (const name of unknown) console.error(`there is no case "${name}"`);
  console.error('usage: node bench/train.mjs FOLDER [NAME ...] [--python PYTHON]');
  console.error(`cases: ${Object.keys(cases).join(', ')}`);
  process.exit(2);
}
const dist = resolve(flags.dist);
const pare = await modulesOf(dist);
const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const temp = mkdtempSync(join(tmpdir(), 'pare-train-'));
const running = new Set();
const machine = pare.describeMachine();
console.log(`${machine.cpu}, ${machine.cores} cores, load ${loadavg()[0].toFixed(1)}`);
console.log(`Node ${machine.node}${flags.python ? '' : '; peer: not run, give --python'}`);
const header = [
  'model',
  'batch',
  'threads',
  'by',
  'samples/s',
  'ratio',
  'CPU ms',
  'ratio',
  'MB peak',
  'MB before',
  'MB estimated',
  'loss',
];
console.log(`\n| ${header.join(' | ')} |\n|---|${'--:|'.repeat(header.length - 1)}`);
const versions = {};
try {
  for (const name of wanted.length > 0 ? wanted : Object.keys(cases)) {
    const path = join(temp, `${name}.onnx`);
    const engine = await pare.createNodeEngine({ threads: 1 });
    writeFileSync(path, await modelOf(pare, engine, folder, name));
    await engine.close();
    for (const threads of flags.threads.split(',')) await measure(name, path, threads);
  }
} finally {
  for (const child of running) child.kill();
  rmSync(temp, { recursive: true, force: true });
}
console.log(`\npare on onnxruntime-node ${versions.pare}, PyTorch ${versions.torch ?? 'not run'}`);
console.log(`load at the end ${loadavg()[0].toFixed(1)}`);

async function measure(name, path, threads) {
  const { batch } = cases[name];
  const sides = {
    pare: start(process.execPath, [file('train-steps.mjs'), dist, path, batch, threads]),
  };
  if (flags.python) {
    sides.torch = start(flags.python, [file('peers/train_torch.py'), path, batch, threads]);
  }
  const found = {};
  for (const [by, side] of Object.entries(sides)) {
    const ready = await side.next();
    versions[by] = ready.version;
    found[by] = { ready, times: [], cpu: [], last: undefined };
  }
  // The first steps pay for memory that later ones have.
  const steps = Math.max(2, Math.min(40, Math.round(1000 / (await warmUp(sides)))));
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const [by, side] of Object.entries(sides)) {
      const reply = await side.ask(steps);
      found[by].times.push(...reply.times);
      found[by].cpu.push(reply.cpuMs);
      found[by].last = reply;
    }
  }
  for (const side of Object.values(sides)) side.end();
  const peer = found.torch;
  for (const [by, { ready, times, cpu, last }] of Object.entries(found)) {
    const ms = median(times);
    const isOwn = by === 'pare' && peer;
    const cells = [
      by === 'pare' ? name : '',
      by === 'pare' ? batch : '',
      by === 'pare' ? threads : '',
      ready.several ? `${by}, several steps per call` : by,
      ((1000 * batch) / ms).toFixed(0),
      isOwn ? (median(peer.times) / ms).toFixed(2) : '',
      Math.min(...cpu).toFixed(1),
      isOwn ? (Math.min(...peer.cpu) / Math.min(...cpu)).toFixed(2) : '',
      (last.peakBytes / 1e6).toFixed(0),
      (last.baseBytes / 1e6).toFixed(0),
      ready.estimatedBytes ? (ready.estimatedBytes / 1e6).toFixed(0) : '',
      last.loss.toPrecision(3),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

/** Milliseconds of a step, roughly. */
async function warmUp(sides) {
  let ms = 0;
  for (const side of Object.values(sides)) {
    await side.ask(2);
    ms = Math.max(ms, Math.min(...(await side.ask(2)).times));
  }
  return ms;
}

function start(command, args) {
  const child = spawn(command, args.map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
  running.add(child);
  child.on('close', () => running.delete(child));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { done, value } = await lines.next();
    if (done) throw new Error(`${command} ended`);
    return JSON.parse(value);
  };
  return {
    next,
    ask(steps) {
      child.stdin.write(`${steps}\n`);
      return next();
    },
    end: () => child.stdin.end(),
  };
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
