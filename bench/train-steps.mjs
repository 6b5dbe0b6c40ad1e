/**
 * pare's side of bench/train.mjs: training steps of one model in a process of its own, by the
 * protocol of bench/peers/train_torch.py.
 *
 * usage: node bench/train-steps.mjs DIST MODEL BATCH THREADS
 */
import { createInterface } from 'node:readline';
import { modulesOf } from './train-modules.mjs';

const [dist, path, batchText, threads] = process.argv.slice(2);
const pare = await modulesOf(dist);
const batch = Number(batchText);
const peakBytes = () => 1024 * process.resourceUsage().maxRSS;
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const engine = await pare.createNodeEngine({ threads: Number(threads) });
const baseBytes = peakBytes();
const { model, close } = await pare.openModel(path);
await pare.inferShapes(engine, model);
const options = pare.finetuneOptions.parse({ loss: 'cross-entropy', weightDecay: 0 });
const plan = pare.planLosses(model, options, { hasTeacher: false, hasLabels: true });
const step = await pare.buildStep(
  model,
  { losses: plan.terms, optimizer: options, batchSize: batch },
  engine,
);
const own = new Set([...step.state.keys(), step.learningRate, step.step]);
const feeds = {};
const [{ dims: given }] = model.graph.inputs;
const ports = model.graph.inputs.map(({ name, dataType }) => ({ name, dataType, dims: given }));
for (const { name, dataType, dims } of step.model.graph.inputs) {
  if (own.has(name)) continue;
  const count = dims.reduce((product, dim) => product * dim, 1);
  // The same numbers as the peer's, by the golden ratio.
  const data =
    dataType === 'int64'
      ? BigInt64Array.from({ length: count }, (_, at) => BigInt(at % classes()))
      : Float32Array.from(
          { length: count },
          (_, at) => ((at * 2654435761) % 4294967296) / 4294967296,
        );
  feeds[name] = pare.hostTensor(dataType, dims, data);
}
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

function classes() {
  const dim = model.graph.outputs[0].dims?.at(-1);
  return typeof dim === 'number' ? dim : 2;
}
