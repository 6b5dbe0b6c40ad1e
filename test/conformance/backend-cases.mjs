/**
 * The ONNX backend cases as a test of rewrites: every case must still match after simplify, after
 * the opset upgrade to each target, and after both.
 *
 *   npm run build
 *   node test/conformance/backend-cases.mjs FOLDER [--targets 21,26] [--filter TEXT] [--verbose]
 *
 * FOLDER holds onnx-backend-node.tar.gz (or its content, node/CASE/...) and
 * onnx-backend-node.status.json, which says which cases the runtime itself reproduces. Prints a
 * table of counts and every failure by name; exit code 1 when there is one. Where the runtime's
 * result of the original is itself outside the tolerance, that result must be reproduced.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { matchingCases, openBackend, readCase, usingCases } from './backend-folder.mjs';
import { difference } from './case-values.mjs';
import { runCase } from './run-case.mjs';

const { options, folder, pare } = await openBackend(
  '[--targets 21,26]',
  { targets: { type: 'string', default: '21,26' }, filter: { type: 'string', default: '' } },
  [
    'engine/host-tensor.js',
    'engine/node.js',
    'graph/clone.js',
    'graph/opset/upgrade.js',
    'graph/value-type.js',
    'onnx/data-type.js',
    'onnx/tensor.js',
    'pass.js',
    'simplify/index.js',
  ],
);

/** The ways a model goes before it is run: names and the passes that they apply. */
function stagesOf(engine) {
  const simplify = async (model) => (await pare.simplify(model, {}, { engine })).model;
  const upgrade = (target) => async (model) =>
    (await pare.applyPass(model, pare.upgradeOpset, { target }, { engine })).model;
  const targets = options.targets.split(',').map(Number);
  return [
    ['original', async (model) => model],
    ['simplify', simplify],
    ...targets.map((target) => [`opset ${target}`, upgrade(target)]),
    ...targets.map((target) => [
      `simplify, opset ${target}`,
      async (model) => upgrade(target)(await simplify(model)),
    ]),
  ];
}

/** Says that the runtime lacks an operator in a version, whatever the model does. */
const noKernel = /Could not find an implementation/;

/**
 * How one stage of one case went: { outputs } or { error }, and the first output that is not as
 * expected.
 */
async function runStage(engine, apply, { model, inputs, outputs }, reference) {
  try {
    const rows = await runCase(pare, engine, await apply(model), inputs, outputs);
    const results = rows.map(({ actual }) => actual);
    const wrong = rows.findIndex(({ actual, expected }, at) =>
      difference(actual, reference?.[at] ?? expected),
    );
    if (rows.length === 0) return { results, reason: 'the case has no outputs' };
    if (wrong < 0) return { results };
    const { name, actual, expected } = rows[wrong];
    const reason = difference(actual, reference?.[wrong] ?? expected);
    return { results, reason: `output "${name}": ${reason}` };
  } catch (error) {
    return { reason: String(error.message).split('\n')[0].slice(0, 300) };
  }
}

async function runAll(root, names) {
  const engine = await pare.createNodeEngine({ threads: 1 });
  const stages = stagesOf(engine);
  const counts = new Map(stages.map(([stage]) => [stage, { passed: 0, missing: 0, failed: 0 }]));
  const lists = { failures: [], missing: [], outOfScope: [], imprecise: [] };
  for (const name of names) {
    if (options.verbose) console.log(name);
    const path = join(root, name);
    if (!existsSync(join(path, 'model.onnx'))) {
      lists.outOfScope.push([name, 'the folder has no such case']);
      continue;
    }
    const { model, ...data } = await readCase(pare, path);
    const given = (values) => values.filter((value) => value !== undefined);
    const testCase = { model, inputs: given(data.inputs), outputs: given(data.outputs) };
    let reference;
    for (const [stage, apply] of stages) {
      const { results, reason } = await runStage(engine, apply, testCase, reference);
      const count = counts.get(stage);
      if (!reason) count.passed++;
      else if (stage === 'original' && !results) {
        lists.outOfScope.push([name, reason]);
        break;
      } else if (stage === 'original') {
        // The runtime itself is outside the tolerance here: its result is the yardstick.
        reference = results;
        count.passed++;
        lists.imprecise.push([name, reason]);
      } else if (noKernel.test(reason)) {
        count.missing++;
        lists.missing.push([name, stage, reason]);
      } else {
        count.failed++;
        lists.failures.push([name, stage, reason]);
      }
    }
  }
  await engine.close();
  return { counts, ...lists };
}

await usingCases(folder, async (root) => {
  const names = matchingCases(folder, root, options.filter);
  const { counts, failures, missing, outOfScope, imprecise } = await runAll(root, names);
  console.log(`${names.length} cases that the runtime reproduces\n`);
  const print = (...cells) =>
    console.log(
      cells.map((cell, at) => String(cell)[at ? 'padStart' : 'padEnd'](at ? 10 : 20)).join(''),
    );
  print('stage', 'passed', 'no kernel', 'failed');
  for (const [stage, { passed, missing: none, failed }] of counts)
    print(stage, passed, none, failed);
  console.log(`out of scope: ${outOfScope.length}`);
  const list = (title, rows) => {
    for (const row of rows) console.log(`${title}: ${row.join(': ')}`);
  };
  list('out of scope', outOfScope);
  list('compared with the run of the original', imprecise);
  list('no kernel in the runtime', missing);
  list('FAILED', failures);
  process.exitCode = failures.length > 0 ? 1 : 0;
});
