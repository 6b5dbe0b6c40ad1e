/** pare prune as a user calls it: what it writes, refuses and says. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import type { PlanRow } from '../../src/prune/plan-details.js';
import { digits, documentOf, hashOf, makeFolder, pare } from './run-pare.js';

const folder = makeFolder();
afterAll(folder.remove);

test('writes the model and its compressed forms, of the sizes that it tells', async () => {
  const before = hashOf(folder.file('digits.onnx'));
  const method = ['--method', 'unstructured', '--sparsity', '80%'];
  // Magnitudes look at no sample, so those that are left are few to evaluate.
  const flags = [
    ...digits.slice(0, 4),
    '--samples',
    '1980',
    '--compress',
    '-o',
    'p.onnx',
    '--json',
  ];
  const result = await pare(['prune', 'digits.onnx', ...method, ...flags], folder.path);
  expect(result.stderr).toContain('zeros give no speed');
  expect(result.code).toBe(0);
  const { sizes, report, evaluations, written } = documentOf(result);
  expect(written.map((path: string) => path.slice(folder.path.length + 1))).toEqual([
    'p.onnx.gz',
    'p.onnx.br',
    'p.onnx',
  ]);
  expect(statSync(folder.file('p.onnx.gz')).size).toBe(sizes.after.gzipBytes);
  expect(statSync(folder.file('p.onnx.br')).size).toBe(sizes.after.brotliBytes);
  expect(sizes.after.brotliBytes).toBeLessThan(0.5 * sizes.before.brotliBytes);
  const model = readFileSync(folder.file('p.onnx'));
  expect(gunzipSync(readFileSync(folder.file('p.onnx.gz'))).equals(model)).toBe(true);
  expect(brotliDecompressSync(readFileSync(folder.file('p.onnx.br'))).equals(model)).toBe(true);
  expect(report).toMatchObject({ pass: 'prune-unstructured', options: { sparsity: 0.8 } });
  expect(evaluations[1]).toMatchObject({ model: 'unstructured', reference: 'original' });
  expect(hashOf(folder.file('digits.onnx'))).toBe(before);
}, 60_000);

test('a dry run writes nothing; flags of another method and wrong values are refused', async () => {
  const files = readdirSync(folder.path);
  const prune = (...flags: string[]) => pare(['prune', 'digits.onnx', ...flags], folder.path);
  const [dry, foreign, criterion, blind] = await Promise.all([
    prune('--method', 'unstructured', '--pattern', '4x1', '--sparsity', '0.5', '--dry-run'),
    prune('--method', 'depth', '--sparsity', '50%'),
    prune('--method', 'unstructured', '--criterion', 'guess'),
    prune('--method', 'depth', '--ratio', '50%'),
  ]);
  expect(dry!.stderr).toContain('Would write');
  expect(foreign!.stderr).toContain('prune: depth has no option --sparsity');
  expect(criterion!.stderr).toContain('--criterion: must be one of magnitude, wanda, sparsegpt');
  expect(blind!.stderr).toContain('needs samples');
  expect([dry, foreign, criterion, blind].map((run) => run!.code)).toEqual([0, 2, 2, 2]);
  expect(readdirSync(folder.path)).toEqual(files);
}, 60_000);

test('structured: the plan of a dry run, a cut without its proof, a target out of reach', async () => {
  const files = readdirSync(folder.path);
  const structured = (...flags: string[]) =>
    pare(['prune', 'digits.onnx', '--method', 'structured', ...flags], folder.path);
  const [dry, unproved, unreachable] = await Promise.all([
    structured('--macs', '30%', '--dry-run', '--json'),
    structured('--macs', '30%', '--no-proof', '--quiet', '--json', '-o', 'u.onnx'),
    structured('--macs', '99%', '-o', 'never.onnx'),
  ]);

  expect(dry!.code).toBe(0);
  const { written, report } = documentOf(dry!);
  expect(written).toEqual([]);
  const { rows, frozen, before, after, proof } = report.details;
  expect(after.macs).toBeLessThanOrEqual(0.7 * before.macs);
  expect(rows.map((row: { family: string }) => row.family)).toEqual(['conv1', 'conv2', 'fc1']);
  const shrunk = ({ widthBefore, widthAfter }: PlanRow) => widthAfter < widthBefore;
  expect(rows.some(shrunk)).toBe(true);
  expect(frozen[0]).toMatchObject({ by: 'model output "logits"', width: 10 });
  expect(proof).toMatchObject({ holds: true, blind: false });
  expect(report.warnings).toBeUndefined();

  // Loud: even --quiet shows it.
  expect(unproved!.code).toBe(0);
  expect(unproved!.stderr).toContain('warning: the cut was not proved');
  const { report: bare, sizes } = documentOf(unproved!);
  expect(bare.details.proof).toBeNull();
  expect(bare.warnings).toEqual(['the cut was not proved (proof is off)']);
  expect(statSync(folder.file('u.onnx')).size).toBe(sizes.after.fileBytes);

  expect(unreachable!.code).toBe(5);
  expect(unreachable!.stderr).toMatch(/99\.00 % fewer MACs cannot be reached; at most 7\d\.\d\d %/);
  expect(unreachable!.stderr).toMatch(/without the alignment \(16\): 9\d\.\d\d % fewer MACs/);
  expect(readdirSync(folder.path).sort()).toEqual([...files, 'u.onnx'].sort());
}, 120_000);
