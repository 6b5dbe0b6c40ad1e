#!/usr/bin/env node
/**
 * Peak memory and time of calibration, each in a process of its own: it must not grow with the
 * number of samples. Runs the static scheme on MobileNetV2 with images from disk.
 *
 * usage: node bench/calibrate-memory.mjs FOLDER [--name mobilenetv2] [--calibrator mse]
 *        [--samples 16,100,500] [--dist DIR]
 * Exits with 1 when the peak at the most samples is more than 10 % above that at the fewest.
 * The peak is VmHWM of the process, Node and the runtime included (Linux).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { openCase, usePare } from './quantize-cases.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'mobilenetv2' },
    calibrator: { type: 'string', default: 'mse' },
    samples: { type: 'string', default: '16,100,500' },
    dist: { type: 'string' },
    child: { type: 'boolean', default: false },
  },
});
const [folder] = positionals;
if (!folder) {
  console.error('usage: node bench/calibrate-memory.mjs FOLDER');
  process.exit(2);
}
if (flags.child) await calibrate(Number(flags.samples));
else compare();

/** One calibration in this process; prints its figures as JSON. */
async function calibrate(count) {
  const dist = flags.dist
    ? pathToFileURL(`${resolve(flags.dist)}/`)
    : new URL('../dist/', import.meta.url);
  const pare = await usePare(dist);
  const engine = await pare.createNodeEngine({ threads: pare.describeMachine().cores });
  const { model, feeds, close } = await openCase(pare, engine, folder, flags.name);
  const simple = (await pare.simplify(model, {}, { engine })).model;
  const before = peakBytes();
  const start = performance.now();
  const samples = () => feeds(count);
  const { calibrator } = flags;
  await pare.applyPass(simple, pare.staticScheme, { calibrator }, { engine, samples });
  const seconds = (performance.now() - start) / 1000;
  console.log(JSON.stringify({ seconds, before, peak: peakBytes() }));
  await close();
  await engine.close();
}

function peakBytes() {
  return 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
}

function compare() {
  console.log(`${flags.name}, calibrator ${flags.calibrator}, load ${loadavg()[0].toFixed(1)}\n`);
  console.log('| samples | seconds | MB before | MB peak |\n|--:|--:|--:|--:|');
  const peaks = [];
  for (const count of flags.samples.split(',')) {
    const args = [fileURLToPath(import.meta.url), folder, '--child', '--samples', count];
    args.push('--name', flags.name, '--calibrator', flags.calibrator);
    if (flags.dist) args.push('--dist', flags.dist);
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    const { seconds, before, peak } = JSON.parse(stdout);
    peaks.push(peak);
    const mega = (bytes) => (bytes / 1e6).toFixed(0);
    console.log(`| ${count} | ${seconds.toFixed(2)} | ${mega(before)} | ${mega(peak)} |`);
  }
  const growth = peaks.at(-1) / peaks[0] - 1;
  console.log(`\npeak at the most samples against the fewest: ${(100 * growth).toFixed(1)} %`);
  process.exitCode = growth > 0.1 ? 1 : 0;
}
