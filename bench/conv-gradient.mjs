/**
 * What the ways to write the weight gradient of a convolution cost, and what the rule of
 * src/ops/gradient/conv-weight.ts chooses: the table behind its thresholds.
 *
 *   npm run build
 *   node bench/conv-gradient.mjs [--batch 8] [--threads 2] [--rounds 7] [--filter TEXT]
 *
 * Milliseconds, the least of interleaved rounds; * marks what the rule chooses, (fast / chosen)
 * is 1 where the choice is the fastest.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    batch: { type: 'string', default: '8' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '7' },
    filter: { type: 'string', default: '' },
    dist: { type: 'string', default: join(import.meta.dirname, '../dist') },
  },
});
const load = (path) => import(pathToFileURL(join(options.dist, path)).href);
const modules = [
  'index.js',
  'engine/node.js',
  'graph/dead.js',
  'graph/emitter.js',
  'ops/gradient/conv-weight.js',
  'ops/gradient/rule.js',
  'ops/gradient/window.js',
];
const pare = Object.assign({}, ...(await Promise.all(modules.map(load))));
const batch = Number(options.batch);

/** Channels in and out, side of the map, kernel, stride, groups, pads where not half a kernel. */
const cases = [
  ['stem 3x3 s2', 3, 32, 112, 3, 2, 1],
  ['stem 7x7 s2', 3, 64, 112, 7, 2, 1],
  ['8 channels', 8, 32, 56, 3, 1, 1],
  ['16 channels', 16, 16, 32, 3, 1, 1],
  ['16 to 64', 16, 64, 32, 3, 1, 1],
  ['64 to 16', 64, 16, 32, 3, 1, 1],
  ['64 at 16', 64, 64, 16, 3, 1, 1],
  ['64 at 28', 64, 64, 28, 3, 1, 1],
  ['64 at 56', 64, 64, 56, 3, 1, 1],
  ['128 at 28', 128, 128, 28, 3, 1, 1],
  ['256 at 14', 256, 256, 14, 3, 1, 1],
  ['512 at 7', 512, 512, 7, 3, 1, 1],
  ['5x5 not padded', 20, 50, 12, 5, 1, 1, 0],
  ['64 at 8', 64, 64, 8, 3, 1, 1],
  ['128 at 4', 128, 128, 4, 3, 1, 1],
  ['64-128 s2', 64, 128, 56, 3, 2, 1],
  ['1x1 at 56', 256, 64, 56, 1, 1, 1],
  ['1x1 s2', 64, 128, 56, 1, 2, 1],
  ['groups 32', 128, 128, 28, 3, 1, 32],
  ['groups 4', 128, 128, 28, 3, 1, 4],
  ['groups 8 at 7', 64, 64, 7, 3, 1, 8],
  ['groups 32 at 14', 128, 128, 14, 3, 1, 32],
  ['depthwise at 56', 96, 96, 56, 3, 1, 96],
  ['depthwise at 14', 384, 384, 14, 3, 1, 384],
  ['depthwise 32 at 24', 32, 32, 24, 3, 1, 32],
  ['depthwise 64 at 12', 64, 64, 12, 3, 1, 64],
  ['depthwise 128 at 6', 128, 128, 6, 3, 1, 128],
  ['depthwise at 7', 960, 960, 7, 3, 1, 960],
  ['depthwise s2', 192, 192, 28, 3, 2, 192],
  ['depthwise 16 at 48 s2', 16, 16, 48, 3, 2, 16],
  ['depthwise at 112', 32, 32, 112, 3, 1, 32],
  ['depthwise 7x7', 96, 96, 28, 7, 1, 96],
].filter(([name]) => name.includes(options.filter));

/** A model with inputs x, dy and one output: the gradient written by one recipe. */
function modelOf([, channels, outputs, side, kernel, stride, group, edge], recipe) {
  const model = new pare.Model({ opsets: [['', 21]], irVersion: 10 });
  const { graph } = model;
  const pad = edge ?? Math.floor(kernel / 2);
  const place = Math.floor((side + 2 * pad - kernel) / stride) + 1;
  const weight = [outputs, channels / group, kernel, kernel];
  const input = (name, dims) => graph.addInput(name, pare.tensorType('float', dims));
  const x = input('x', [batch, channels, side, side]);
  const dy = input('dy', [batch, outputs, place, place]);
  const w = graph.addInitializer('w', pare.Tensor.raw('float', [0], new Uint8Array(0)));
  const node = graph.addNode({
    opType: 'Conv',
    inputs: [x, w],
    attributes: {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: Array(4).fill(pad),
      group,
    },
  });
  const context = { node, outputGradients: [dy], type: 'float', scatter: true, widen: (v) => v };
  const g = new pare.GradientEmitter(context, new pare.Emitter(graph));
  const window = pare.windowOf(node, x);
  const parts = { x, dy, xShape: x, dyShape: dy, weight, group, window };
  const possible = pare.possibleRecipes(parts);
  const result = pare.convWeightGradient(g, parts, recipe);
  graph.outputs.push(result);
  pare.removeDead(graph);
  return { model, possible };
}

const engine = await pare.createNodeEngine({ threads: Number(options.threads) });
console.log(`batch ${batch}, ${options.threads} threads, ${engine.name} ${engine.version}`);
const recipes = ['product', 'shifts', 'taps', 'swapped', 'plane', 'rows'];
const show = (...cells) =>
  console.log(
    cells.map((cell, at) => String(cell)[at ? 'padStart' : 'padEnd'](at ? 12 : 18)).join(''),
  );
show('convolution', ...recipes, 'fast/chosen');
for (const each of cases) {
  const { possible } = modelOf(each);
  const [chosen] = possible;
  const sessions = [];
  for (const recipe of possible) {
    const { model } = modelOf(each, recipe);
    const session = await engine.createSession(await pare.modelSource(model));
    sessions.push({ session, feeds: pare.randomFeeds(session.inputs, { seed: 1 }) });
  }
  const times = await engine.time(sessions, { warmup: 2, rounds: Number(options.rounds) });
  const least = new Map(possible.map((recipe, at) => [recipe, Math.min(...times[at])]));
  for (const { session } of sessions) await session.release();
  const cells = recipes.map((recipe) => {
    const ms = least.get(recipe);
    return ms === undefined ? '-' : `${ms.toFixed(2)}${recipe === chosen ? '*' : ''}`;
  });
  show(each[0], ...cells, (Math.min(...least.values()) / least.get(chosen)).toFixed(2));
}
await engine.close();
