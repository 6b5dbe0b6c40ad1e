/**
 * The ONNX backend node cases as a test of gradients: for every case whose operators pare claims to
 * differentiate, the gradients of a random projection of the outputs against central differences.
 *
 *   npm run build
 *   node test/conformance/gradients.mjs FOLDER [--filter TEXT,...] [--verbose] [--no-double] [--list]
 *
 * FOLDER holds onnx-backend-node.tar.gz (or its content, node/CASE/...) and
 * onnx-backend-node.status.json. Cases are computed in double where the runtime has the kernels
 * (error up to 1e-6), in float otherwise (up to 1e-3; differences are taken of a twin in double,
 * gradient-double.mjs, where there is one), four times: with integer inputs as inputs
 * and as constants, with fixed and with symbolic dims, and once more without scatter. Prints a
 * table by operator, what is not differentiable with the reason, and every failure; exit code 1
 * when there is one.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { matchingCases, openBackend, readCase, usingCases } from './backend-folder.mjs';
import { toDouble } from './gradient-double.mjs';
import { asFloat, hostTensorOf, inDouble, jittered } from './gradient-values.mjs';

const { options, folder, pare } = await openBackend(
  '[--filter TEXT]',
  {
    filter: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
    'no-double': { type: 'boolean', default: false },
  },
  [
    'engine/host-tensor.js',
    'engine/model-source.js',
    'engine/node.js',
    'engine/shapes.js',
    'graph/clone.js',
    'graph/emitter.js',
    'graph/value-type.js',
    'onnx/data-type.js',
    'onnx/tensor.js',
    'ops/gradient/index.js',
    'testing/node-gradients.js',
    'train/differentiate.js',
  ],
);

/** Whether integer inputs are constants, dims symbolic, scatter allowed. */
const variants = [
  { name: 'inputs', constants: false, symbolic: false, scatter: true },
  { name: 'constants', constants: true, symbolic: false, scatter: true },
  { name: 'symbolic', constants: true, symbolic: true, scatter: true },
  { name: 'no scatter', constants: true, symbolic: false, scatter: false },
];

const isFloat = (value) =>
  value?.tensor !== undefined && pare.dataTypes[value.tensor.dataType].kind === 'float';

/** The case as a model and feeds in one float type, or undefined where the runtime has no kernel. */
async function variantOf(engine, { model, ports, inputs }, type, { constants, symbolic }) {
  const copy = pare.cloneModel(model);
  const { graph } = copy;
  const feeds = {};
  const wanted = [];
  asFloat(pare, copy, type);
  for (const [at, { name }] of ports.entries()) {
    const value = inputs[at];
    if (!value?.tensor) return { reason: 'an input is no tensor' };
    const port = graph.value(name);
    if (isFloat(value)) {
      feeds[name] = await hostTensorOf(pare, value.tensor, type);
      port.type = pare.tensorType(type, value.tensor.dims);
      if (symbolic) {
        const dims = value.tensor.dims.map((_, axis) => `${name}_${axis}`);
        port.type = pare.tensorType(type, dims);
      }
      wanted.push(name);
    } else if (constants) {
      graph.inputs.splice(graph.inputs.indexOf(port), 1);
      port.initializer = value.tensor;
    } else feeds[name] = await hostTensorOf(pare, value.tensor);
  }
  for (const output of graph.outputs) output.type = undefined;
  try {
    const session = await engine.createSession(await pare.modelSource(copy), {
      optimization: 'disabled',
    });
    try {
      const moved = jittered(feeds, wanted);
      for (const candidate of [moved, feeds]) {
        const results = await session.run(candidate).catch(() => undefined);
        if (results && Object.values(results).every(isAllFinite)) {
          const floats = Object.values(results).filter(({ dataType }) => dataType === type);
          if (floats.length === 0) return { reason: 'no output is a real number' };
          return { model: copy, feeds: candidate, wanted };
        }
      }
      return { error: 'outputs are not finite' };
    } finally {
      await session.release();
    }
  } catch (error) {
    return { error: String(error.message).split('\n')[0].slice(0, 160) };
  }
}

function isAllFinite({ data }) {
  return Array.from(data).every((each) => typeof each !== 'number' || Number.isFinite(each));
}

/**
 * Cases written out in primitives that mask whole rows with -inf and replace the NaN of their
 * softmax afterwards: the gradient of that softmax is NaN, here as in PyTorch.
 */
const maskedRows =
  /(fullymasked|softmax_precision|structural_empty|nan_robustness|rank4_mask|neginf_mask).*_expanded/;

/**
 * In which types gradients and differences are computed; the next way where the runtime lacks a
 * kernel, or where a kernel for double computes a part in float.
 */
const ways = [
  { type: 'double', differences: 'double' },
  { type: 'float', differences: 'double' },
  { type: 'float', differences: 'float' },
];
const limits = { double: 1e-6, float: 1e-3 };

/** The case in double: as it is where the runtime has the kernels, in others where they serve. */
async function twinOf(engine, double, { model, feeds }) {
  const wide = inDouble(pare, feeds);
  if (!double.error) return { model: double.model, feeds: wide };
  try {
    const copy = pare.cloneModel(model);
    await toDouble(pare, copy, { engine, feeds });
    const session = await engine.createSession(await pare.modelSource(copy));
    await session.release();
    return { model: copy, feeds: wide };
  } catch {
    return undefined;
  }
}

async function checkCase(engine, testCase, variant) {
  const found = {};
  let last;
  for (const { type, differences } of ways) {
    if (options['no-double'] && differences === 'double') continue;
    found[type] ??= await variantOf(engine, testCase, type, variant);
    if (found[type].reason) return found[type];
    last ??= found[type];
    if (found[type].error) continue;
    const { model, feeds, wanted } = found[type];
    if (wanted.length === 0) return { reason: 'no input is a real number' };
    const isTwin = differences !== type;
    const reference = isTwin ? await twinOf(engine, found.double, found.float) : undefined;
    if (isTwin && !reference) continue;
    try {
      const check = await pare.checkGradients(engine, model, {
        feeds,
        wanted,
        scatter: variant.scatter,
        reference,
      });
      last = { type, differences, ...check, failed: !(check.worst <= limits[type]) };
      if (!last.failed) return last;
    } catch (error) {
      if (error instanceof pare.NotDifferentiable) return { blockers: error.blockers };
      // The rule may need a kernel that the runtime only has for float.
      last = { failed: true, worst: Number.NaN, error: String(error.message).slice(0, 400) };
    }
  }
  return last;
}

async function run(root, names) {
  const engine = await pare.createNodeEngine({ threads: 1 });
  const rows = new Map();
  const refused = new Map();
  const failures = [];
  const skipped = [];
  for (const name of names) {
    const path = join(root, name);
    if (!existsSync(join(path, 'model.onnx'))) continue;
    if (maskedRows.test(name)) {
      const about = 'Softmax: NaN over rows that are masked as a whole';
      refused.set(about, [...(refused.get(about) ?? []), name]);
      continue;
    }
    const testCase = await readCase(pare, path);
    const ops = [...new Set([...testCase.model.graph.nodes].map(({ op }) => op))];
    const key = ops.length === 1 ? ops[0] : 'several (expanded)';
    const blocker = ops.length === 1 && pare.gradientOf(ops[0]);
    if (blocker && blocker.kind === 'unsupported') {
      const about = `${ops[0]}: ${blocker.reason}`;
      refused.set(about, [...(refused.get(about) ?? []), name]);
      continue;
    }
    const hasIntegers = testCase.inputs.some((value) => !isFloat(value));
    for (const variant of variants) {
      // Without integers the same as the first.
      if (variant.name === 'constants' && !hasIntegers) continue;
      const result = await checkCase(engine, testCase, variant);
      const where = `${name} [${variant.name}]`;
      if (options.verbose) console.log(where, JSON.stringify(result));
      if (result.reason) break;
      if (result.blockers) {
        for (const { op, reason } of result.blockers) {
          const about = `${op}: ${reason.replace(/"[^"]*"|\[[^\]]*\]/g, '...')}`;
          refused.set(about, [...(refused.get(about) ?? []), where]);
        }
        continue;
      }
      if (result.worst === undefined) {
        skipped.push(`${where}: ${result.error}`);
        continue;
      }
      const row = rows.get(key) ?? { cases: new Set(), runs: 0, failed: 0 };
      row.cases.add(name);
      row.runs++;
      row.kinks = (row.kinks ?? 0) + (result.kinks ?? 0);
      if (result.edges > 0) {
        const about = `${key}: the model has no value beside some elements (edge of its domain)`;
        refused.set(about, [...(refused.get(about) ?? []), where]);
      }
      row.elements = (row.elements ?? 0) + (result.elements ?? 0);
      if (result.failed) {
        row.failed++;
        failures.push(`${where}: ${result.error ?? `${result.type} error ${result.worst}`}`);
      } else row[result.type] = Math.max(row[result.type] ?? 0, result.worst);
      rows.set(key, row);
    }
  }
  await engine.close();
  return { rows, refused, failures, skipped };
}

await usingCases(folder, async (root) => {
  const names = matchingCases(folder, root, options.filter);
  const { rows, refused, failures, skipped } = await run(root, names);
  const show = (...cells) =>
    console.log(
      cells.map((cell, at) => String(cell)[at ? 'padStart' : 'padEnd'](at ? 11 : 42)).join(''),
    );
  show('operator', 'cases', 'runs', 'double', 'float', 'elements', 'kinks', 'failed');
  const number = (value) => value?.toExponential(1) ?? '-';
  for (const [op, row] of [...rows].sort()) {
    const { cases, runs, double, float, elements, kinks, failed } = row;
    show(op, cases.size, runs, number(double), number(float), elements, kinks, failed);
  }
  const total = [...rows.values()].reduce((count, { cases }) => count + cases.size, 0);
  console.log(`\n${total} cases checked, ${failures.length} runs failed`);
  console.log('\nnot differentiated:');
  for (const [about, list] of [...refused].sort()) {
    console.log(`  ${about} (${list.length} runs, such as ${list[0]})`);
  }
  if (skipped.length > 0) console.log(`\nnot run: ${skipped.length}`);
  if (options.list) for (const each of skipped) console.log(`  ${each}`);
  for (const failure of failures) console.log(`FAILED ${failure}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
});
