import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeNpz, readNpz } from '../../data/npz.js';
import type { Explanation } from '../../explain/explanation.js';
import { bytesSource } from '../../onnx/byte-source.js';
import { runCli } from '../frame.js';
import { TestHost } from '../test-host.js';
import { commands } from './index.js';

const assets = fileURLToPath(new URL('../../../assets/', import.meta.url));

/** Of the 2,000 digits: enough to see that everything is there. */
const samples = 75;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pare-explain-'));
  await copyFile(join(assets, 'digits.onnx'), join(folder, 'digits.onnx'));
  const all = await readNpz(bytesSource(await readFile(join(assets, 'digits.npz'))));
  const first = Object.entries(all).map(([name, { dataType, dims, data }]) => {
    const size = data.length / dims[0]!;
    const part = (data as Uint8Array).slice(0, samples * size);
    return [name, { dataType, dims: [samples, ...dims.slice(1)], data: part }] as const;
  });
  await writeFile(join(folder, 'digits.npz'), encodeNpz(Object.fromEntries(first)));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function pare(...argv: string[]) {
  const host = new TestHost({ cwd: folder });
  const code = await runCli([...argv, '--threads', '1'], commands, host);
  return { code, out: host.stdout.text, err: host.stderr.text };
}

const data = ['--data', 'digits.npz', '--preprocess', 'unit'];
const few = ['--samples', '40', '--curve-samples', '12', '--path-samples', '2', '--seeds', '2'];
const less = ['--inputs', '1', '--steps', '4'];

describe('pare explain', { timeout: 300_000 }, () => {
  test('prints layers and scores, and writes the whole', async () => {
    const { code, out } = await pare(
      'explain',
      'digits.onnx',
      ...data,
      ...few,
      ...less,
      '-o',
      'all.json',
    );
    expect(code).toBe(0);
    expect(out).toMatch(/conv2 +32 channels/);
    expect(out).toMatch(/conductance +\d\.\d{3}/);
    expect(out).toContain('input:0 > conv1:');
    const explanation: Explanation = JSON.parse(await readFile(join(folder, 'all.json'), 'utf8'));
    expect(explanation).toMatchObject({
      schema: 1,
      kind: 'explanation',
      model: { name: 'digits.onnx', task: 'classification', classes: 10 },
      data: { samples: 40, labels: 'given' },
    });
    const [conv1] = explanation.layers;
    // Two filters of the demo are off whatever it is shown.
    expect(conv1!.dead).toContain(0);
    expect(conv1!.ablation!.loss[0]).toBe(0);
    const cards = new Set(explanation.samples.map(({ index }) => index));
    for (const list of conv1!.exemplars.most)
      for (const { sample } of list) expect(cards.has(sample)).toBe(true);
    expect(explanation.samples[0]!.preview).toMatchObject({
      kind: 'image',
      width: 28,
      channels: 1,
    });
    expect(explanation.inputs.map(({ method }) => method)).toContain('integrated-gradients');
    expect(explanation.faithfulness!.inputs.map(({ method }) => method)).toEqual([
      'saliency',
      'integrated-gradients',
    ]);
  });

  test('without labels, the predictions of the model are what is explained', async () => {
    const flags = ['--no-labels', '--no-ablation', '--no-faithfulness', '--inputs', '0', '--json'];
    const { out } = await pare('explain', 'digits.onnx', ...data, '--samples', '20', ...flags);
    const explanation: Explanation = JSON.parse(out);
    expect(explanation.data.labels).toBe('predicted');
    expect(explanation.baseline.accuracy).toBe(1);
    expect(explanation.faithfulness).toBeNull();
    expect(explanation.layers[0]!.scores).not.toHaveProperty('ablation');
  });

  test('a vocabulary that is none stops it at once where it was given', async () => {
    const explainWith = (file: string) =>
      pare('explain', 'digits.onnx', ...data, '--vocabulary', file);
    expect((await explainWith('gone.json')).err).toContain('gone.json');
    await writeFile(join(folder, 'words.json'), '{"version": "1.0"}');
    expect((await explainWith('words.json')).err).toContain('no tokens are in it');
  });

  test('needs data', async () => {
    const { code, err } = await pare('explain', 'digits.onnx');
    expect(code).not.toBe(0);
    expect(err).toContain('no data is given');
  });
});

describe('pare prune --criterion auto', { timeout: 300_000 }, () => {
  test('says which criterion it took, and takes it', async () => {
    const flags = ['--method', 'structured', '--ratio', '20%', '--align', '1', '--dry-run'];
    const { code, out } = await pare(
      ...['prune', 'digits.onnx', ...data, '--samples', '40', '--criterion', 'auto', '--json'],
      ...flags,
    );
    expect(code).toBe(0);
    const { criterionChoice, report } = JSON.parse(out);
    expect(criterionChoice.rows[0].criterion).toBe(criterionChoice.criterion);
    expect(report.options.criterion).toBe(criterionChoice.criterion);
  });

  test('is for structured pruning and needs data', async () => {
    const auto = ['--criterion', 'auto'];
    const depth = await pare('prune', 'digits.onnx', '--method', 'depth', '--blocks', '1', ...auto);
    expect(depth.err).toContain('depth has no criterion "auto"');
    const blind = await pare(
      ...['prune', 'digits.onnx', '--method', 'structured', '--ratio', '20%', ...auto],
    );
    expect(blind.err).toContain('no data is given');
  });
});
