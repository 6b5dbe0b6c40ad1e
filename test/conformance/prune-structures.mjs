#!/usr/bin/env node
/**
 * Cuts every model of a folder by labels and proves it: simplify, analyse, take the given share of
 * the units of every family (rounded down, seeded), compare the model with the slices at zero with
 * the one without them. Prints a table, then what stayed fixed and why. Constants that are zero, or
 * nearly so, get random numbers first: fresh exports have dead biases and heads, before which any
 * proof is blind. Exits with 1 when a proof fails, is blind, or a model cannot be analysed.
 *
 * usage: node test/conformance/prune-structures.mjs FOLDER
 *   [--only NAME,...] [--ratios 0.25,0.5] [--norms none|exact|all] [--split auto|heads|head-dim]
 *   [--dims JSON] [--lowest] [--frozen] [--trained]
 */
import { parseArgs } from 'node:util';
import { eachModel } from './each-model.mjs';

const dist = new URL(process.env.PARE_DIST ?? '../../dist/', import.meta.url);
const use = (path) => import(new URL(path, dist));
const { createNodeEngine } = await use('engine/node.js');
const { openModel } = await use('node.js');
const { Tensor } = await use('onnx/tensor.js');
const { createRandom, permutation } = await use('random.js');
const { analyzeCoupling } = await use('prune/analyze-coupling.js');
const { cutModel } = await use('prune/cut.js');
const { proveCut } = await use('prune/proof.js');
const { simplify } = await use('simplify/index.js');

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    ratios: { type: 'string', default: '0.25,0.5' },
    norms: { type: 'string', default: 'none' },
    split: { type: 'string', default: 'auto' },
    dims: { type: 'string', default: '{}' },
    lowest: { type: 'boolean' },
    frozen: { type: 'boolean' },
    trained: { type: 'boolean' },
  },
});
const [folder] = positionals;
if (!folder) {
  console.error('usage: node test/conformance/prune-structures.mjs FOLDER [--only NAME,...]');
  process.exit(2);
}
const ratios = flags.ratios.split(',').map(Number);
const dims = JSON.parse(flags.dims);
const engine = await createNodeEngine({ threads: 1 });
console.log(`node ${process.version}, ${engine.name} ${engine.version}\n`);
console.log(
  '| export | cut | nodes | families | of them norm-coupled | units | params | after | zeroed vs original | zeroed vs removed | analysis s | cut s | proof s |',
);
console.log('|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|');
const remarks = [];
let failed = false;
const crashed = await eachModel(openModel, folder, flags.only, {
  visit: check,
  onError(error, name) {
    console.log(`| ${name} | failed: ${error.message.slice(0, 300)} |`);
    if (!error.code || process.env.STACK) console.log(error.stack);
  },
});
await engine.close();
for (const remark of remarks) console.log(remark);
process.exitCode = failed || crashed ? 1 : 0;

async function check(loaded, name) {
  const { model } = await simplify(loaded, { unshare: true }, { engine });
  if (!flags.trained) await enliven(model);
  let start = performance.now();
  const options = { norms: flags.norms, split: flags.split, dims };
  const coupling = await analyzeCoupling(model, options, { engine });
  const analysisS = (performance.now() - start) / 1000;
  const { families, frozen } = coupling;
  const units = families.reduce((sum, family) => sum + family.units, 0);
  for (const ratio of ratios) {
    const cut = new Map();
    families.forEach((family, k) => {
      const order = flags.lowest
        ? [...Array(family.units).keys()]
        : [...permutation(family.units, k)];
      cut.set(family.id, new Set(order.slice(0, Math.floor(family.units * ratio))));
    });
    start = performance.now();
    const smaller = await cutModel(coupling, cut);
    const cutS = (performance.now() - start) / 1000;
    start = performance.now();
    const proof = await proveCut(coupling, cut, smaller, { dims }, { engine });
    const proofS = (performance.now() - start) / 1000;
    const nothing = families.every(({ id }) => cut.get(id).size === 0);
    if (!proof.holds || (proof.blind && !nothing)) failed = true;
    const noise = proof.noise === undefined ? '' : ` (rounding ${proof.noise.toExponential(1)})`;
    const verdict = nothing
      ? ' (nothing cut)'
      : !proof.holds
        ? ' **WRONG**'
        : proof.blind
          ? ' **blind**'
          : noise;
    const coupled = families.filter(({ norms }) => norms.length > 0).length;
    console.log(
      `| ${name} | ${ratio * 100}% | ${[...model.graph.nodes].length} | ${families.length} | ${coupled} | ${units} | ${millions(model)} | ${millions(smaller)} | ${proof.effect.toExponential(0)} | ${proof.relativeError.toExponential(1)}${verdict} | ${analysisS.toFixed(2)} | ${cutS.toFixed(2)} | ${proofS.toFixed(2)} |`,
    );
  }
  if (flags.frozen && frozen.length > 0) {
    const byReason = new Map();
    for (const { by, reason, node } of frozen) {
      const key = by === node ? reason : `${by}: ${reason}`;
      byReason.set(key, [...(byReason.get(key) ?? []), node]);
    }
    remarks.push(`\n${name}: ${frozen.length} widths are fixed`);
    for (const [reason, nodes] of byReason) {
      remarks.push(
        `  ${reason}: ${nodes.slice(0, 3).join(', ')}${nodes.length > 3 ? ` and ${nodes.length - 3} more` : ''}`,
      );
    }
  }
}

function millions(model) {
  let count = 0;
  for (const value of model.graph.initializers) {
    const kind = value.initializer?.dataType;
    if (kind !== 'int64' && kind !== 'bool') count += value.initializer?.size ?? 0;
  }
  return `${(count / 1e6).toFixed(3)}M`;
}

/** Random numbers for float constants that are all (nearly) zero. */
async function enliven(model) {
  const random = createRandom(5);
  for (const value of model.graph.initializers) {
    const tensor = value.initializer;
    if (tensor?.dataType !== 'float' || tensor.dims.length === 0 || tensor.size < 2) continue;
    const numbers = await tensor.floats();
    if (numbers.some((x) => Math.abs(x) >= 1e-4)) continue;
    const noise = Float32Array.from(numbers, () => random.normal() * 0.05);
    value.initializer = Tensor.of('float', tensor.dims, noise);
  }
}
