/**
 * The start-up time of `pare --help` beside that of Node alone: medians of 10 runs each, in turn.
 * Build first. Usage: node bench/startup.mjs [RUNS]
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const runs = Number(process.argv[2] ?? 10);
const calls = { 'node alone': ['-e', '0'], 'pare --help': [program, '--help'] };
const times = Object.fromEntries(Object.keys(calls).map((name) => [name, []]));

for (let run = 0; run <= runs; run++) {
  for (const [name, args] of Object.entries(calls)) {
    const start = performance.now();
    const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
    if (status !== 0) throw new Error(`${name} exits with ${status}`);
    // The first round only warms the page cache.
    if (run > 0) times[name].push(performance.now() - start);
  }
}

const medians = Object.entries(times).map(([name, values]) => {
  const sorted = values.sort((a, b) => a - b);
  const middle = runs / 2;
  return [name, (sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2];
});
for (const [name, median] of medians) console.log(`${name.padEnd(12)} ${median.toFixed(0)} ms`);
console.log(`difference   ${(medians[1][1] - medians[0][1]).toFixed(0)} ms, median of ${runs}`);
