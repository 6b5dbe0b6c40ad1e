/**
 * The start-up time of `pare --help` and of each command's help beside that of Node alone: medians
 * of interleaved runs. Build first. Usage: node bench/startup.mjs [RUNS [COMMAND ...]]; without
 * commands all of them.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { commands } from '../dist/cli/commands/index.js';

const program = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const [runs = 10, ...named] = process.argv.slice(2);
const names = named.length > 0 ? named : commands.map(({ name }) => name);
const calls = {
  'node alone': ['-e', '0'],
  'pare --help': [program, '--help'],
  ...Object.fromEntries(names.map((name) => [`pare ${name} --help`, [program, name, '--help']])),
};
const times = Object.fromEntries(Object.keys(calls).map((name) => [name, []]));

for (let run = 0; run <= Number(runs); run++) {
  for (const [name, args] of Object.entries(calls)) {
    const start = performance.now();
    const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
    if (status !== 0) throw new Error(`${name} exits with ${status}`);
    // The first round only warms the page cache.
    if (run > 0) times[name].push(performance.now() - start);
  }
}

const medians = Object.entries(times).map(([name, values]) => [name, medianOf(values)]);
const width = Math.max(...medians.map(([name]) => name.length));
for (const [name, median] of medians) {
  const beyond = median - medians[0][1];
  console.log(`${name.padEnd(width)} ${ms(median)}, ${ms(beyond)} beyond node`);
}
console.log(`medians of ${runs}`);

function medianOf(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2;
}

function ms(time) {
  return `${time.toFixed(0).padStart(4)} ms`;
}
