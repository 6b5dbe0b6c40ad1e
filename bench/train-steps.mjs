/**
 * pare's side of bench/train.mjs: training steps of one model in a process of its own, by the
 * protocol of bench/peers/train_torch.py.
 *
 * usage: node bench/train-steps.mjs DIST MODEL BATCH THREADS
 */
import { createInterface } from 'node:readline';
import { modulesOf } from './train-modules.mjs';
import { stepOf } from './train-step.mjs';

const [dist, path, batchText, threads] = process.argv.slice(2);
const pare = await modulesOf(dist);
const batch = Number(batchText);
const peakBytes = () => 1024 * process.resourceUsage().maxRSS;
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const engine = await pare.createNodeEngine({ threads: Number(threads) });
const baseBytes = peakBytes();
const { model, close } = await pare.openModel(path);
const { step, feeds } = await stepOf(pare, engine, model, batch);
const [{ dims: given }] = model.graph.inputs;
const ports = model.graph.inputs.map(({ name, dataType }) => ({ name, dataType, dims: given }));
const memory = await pare.estimateMemory(step, ports, feeds, engine);
const several = pare.severalStepsPay(memory);
const runner = await pare.StepRunner.open(step, engine, several);
await close();
let stepMs = Number.POSITIVE_INFINITY;
say({
  version: engine.version,
  nodes: [...step.model.graph.nodes].length,
  several,
  estimatedBytes: memory.totalBytes,
  activationBytes: memory.activationBytes,
  stateBytes: memory.stateBytes,
});

for await (const line of createInterface({ input: process.stdin })) {
  const times = [];
  const cpu = process.cpuUsage();
  const count = Number(line);
  let loss = 0;
  while (times.length < count) {
    const most = several ? Math.max(1, Math.min(32, Math.floor(500 / stepMs))) : 1;
    const steps = Math.min(count - times.length, most);
    const start = performance.now();
    const losses = await runner.run(Array(steps).fill(feeds), Array(steps).fill(1e-3));
    stepMs = (performance.now() - start) / steps;
    for (const each of losses) {
      times.push(stepMs);
      loss = each;
    }
  }
  const { user, system } = process.cpuUsage(cpu);
  const cpuMs = (user + system) / 1000 / count;
  say({ times, cpuMs, loss, peakBytes: peakBytes(), baseBytes });
}
await runner.release();
await engine.close();
