/** pare optimize in rounds of pruning and training, and pare verify of what it wrote. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { digits, documentOf, makeFolder, pare } from './run-pare.js';

const folder = makeFolder();
afterAll(folder.remove);

test('the receipt names every cut and training, and verify makes the same file of it', async () => {
  const how = ['--prune', '60%', '--finetune', '--epochs', '2', '--rounds', '2'];
  const flags = ['--criterion', 'hessian', '--max-drop', '5%', '--threads', '1', '--json'];
  const run = await pare(
    ['optimize', 'digits.onnx', ...digits, ...how, ...flags, '-o', 'small.onnx'],
    folder.path,
  );
  expect(run.code).toBe(0);
  const receipt = JSON.parse(readFileSync(folder.file('small.json'), 'utf8'));
  const passes = receipt.recipe.map(({ pass }: { pass: string }) => pass);
  const rounds = passes.filter((pass: string) => /^(prune|finetune)/.test(pass));
  expect(rounds).toEqual(['prune-structured', 'finetune', 'prune-structured', 'finetune']);
  const verified = await pare(['verify', 'small.onnx', '--json'], folder.path);
  const checks = documentOf(verified).checks as { name: string; result: string }[];
  expect(checks.find(({ name }) => name === 'recipe makes the same file')?.result).toBe('ok');
  expect(verified.code).toBe(0);
}, 120_000);
