#!/usr/bin/env node
/**
 * Where the time of a model goes in float and after static quantization, node by node: why a
 * speed-up is what it is. Microseconds of one run at 1 thread, the least of several profiles; the
 * profiler itself adds some 3 to every node.
 *
 * usage: node bench/quantize-profile.mjs FOLDER NAME ... [--options JSON] [--profiles 8] [--dist DIR]
 * FOLDER holds models/ and data/, NAME is a case of bench/quantize-cases.mjs. --options are those
 * of the static scheme: --options '{"placement":"all"}' shows what integers everywhere would cost.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { cases, openCase, usePare } from './quantize-cases.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    options: { type: 'string', default: '{}' },
    profiles: { type: 'string', default: '8' },
    dist: { type: 'string' },
  },
});
const [folder, ...names] = positionals;
if (!folder || names.length === 0 || names.some((name) => !(name in cases))) {
  console.error('usage: node bench/quantize-profile.mjs FOLDER NAME ... [--options JSON]');
  console.error(`names: ${Object.keys(cases).join(', ')}`);
  process.exit(2);
}
const dist = flags.dist
  ? pathToFileURL(`${resolve(flags.dist)}/`)
  : new URL('../dist/', import.meta.url);
const pare = await usePare(dist);
const { table } = await import(new URL('report/table.js', dist));
const engine = await pare.createNodeEngine({ threads: 1 });
const right = (header) => ({ header, align: 'right' });
try {
  for (const name of names) await profileCase(name);
} finally {
  await engine.close();
}

async function profileCase(name) {
  const found = await openCase(pare, engine, folder, name);
  if (!found) return;
  try {
    const samples = [];
    for await (const feeds of found.feeds()) samples.push(feeds);
    const simple = (await pare.simplify(found.model, {}, { engine })).model;
    const context = {
      engine,
      samples: async function* () {
        yield* samples;
      },
    };
    const options = JSON.parse(flags.options);
    const { model } = await pare.applyPass(simple, pare.staticScheme, options, context);
    const float = await leastTimes(simple, samples[0]);
    const integer = await leastTimes(model, samples[0]);
    printCase(name, simple, float, integer);
  } finally {
    await found.close();
  }
}

/** Least microseconds per node of the runtime's graph, over several sessions. */
async function leastTimes(model, feeds) {
  const source = await pare.modelSource(model);
  const least = new Map();
  for (let i = 0; i < Number(flags.profiles); i++) {
    for (const { node, opType, totalUs, calls } of await engine.profile(source, feeds, {
      runs: 30,
    })) {
      const us = totalUs / calls;
      const before = least.get(node);
      if (!before || us < before.us) least.set(node, { opType, us });
    }
  }
  return least;
}

function printCase(name, model, float, integer) {
  const owner = ownersOf(model);
  const rows = new Map([...model.graph.nodes].map((node) => [node, { float: 0, integer: 0 }]));
  const added = new Map();
  for (const [side, times] of Object.entries({ float, integer })) {
    for (const [label, { opType, us }] of times) {
      const node = owner.get(label.replace(/(_nchwc|_token_\d+|_token_\d+_nchwc)$/, ''));
      if (node) {
        const row = rows.get(node);
        row[side] += us;
        row[`${side} kernel`] = opType;
      } else {
        const row = added.get(opType) ?? { float: 0, integer: 0, count: 0 };
        row[side] += us;
        row.count++;
        added.set(opType, row);
      }
    }
  }
  const us = (value) => (value > 0 ? value.toFixed(1) : '');
  const lines = [];
  for (const [node, row] of rows) {
    if (row.float === 0 && row.integer === 0) continue;
    const kernel = row['integer kernel'] ?? row['float kernel'];
    lines.push([node.label.slice(0, 40), kernel, us(row.float), us(row.integer)]);
  }
  for (const [opType, row] of added) {
    lines.push([`added by the runtime: ${row.count}`, opType, us(row.float), us(row.integer)]);
  }
  const sum = (times) => [...times.values()].reduce((total, each) => total + each.us, 0);
  lines.push(['all', '', us(sum(float)), us(sum(integer))]);
  const columns = [{ header: name }, { header: 'kernel' }, right('float us'), right('static us')];
  console.log(`${table(columns, lines)}\n`);
}

/** By the name of a node or of a value: the node that answers for it; clips belong to theirs. */
function ownersOf(model) {
  const owners = new Map();
  for (const node of model.graph.nodes) {
    const before = node.inputs[0]?.producer;
    const isClip = /^(Relu|Clip)$/.test(node.op) && before;
    const owner = isClip ? (owners.get(before.name) ?? before) : node;
    if (node.name) owners.set(node.name, owner);
    for (const output of node.outputs) if (output) owners.set(output.name, owner);
  }
  return owners;
}
