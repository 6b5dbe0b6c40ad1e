/**
 * What is written and what is not: force, dry runs, the same bytes twice, the config file, folders
 * that cannot be written to, a disk that is full.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { encodeWithExternalData } from '../../src/load.js';
import { openModel } from '../../src/node.js';
import { digits, documentOf, hashOf, makeFolder, pare } from './run-pare.js';

const folder = makeFolder();
afterAll(folder.remove);
const only = (name: string) => name === 'digits.onnx';
afterEach(() => {
  for (const name of readdirSync(folder.path)) {
    if (!only(name)) rmSync(folder.file(name), { recursive: true });
  }
});
const run = (...args: string[]) => pare(args, folder.path);
const names = () => readdirSync(folder.path).filter((name) => !only(name));

describe('outputs', () => {
  test('quantize says how fast the result runs beside the original', async () => {
    const result = await run('quantize', 'digits.onnx', '--scheme', 'float16', '--json');
    const { speed } = documentOf(result);
    expect(speed.reason).toBeNull();
    const models = speed.rows.map(({ model }: { model: string }) => model);
    expect(models).toEqual(['original', 'float16']);
    expect(speed.rows[1].speedUp.ratio).toBeGreaterThan(0);
  });

  test('quantize and simplify name them themselves, and write the same bytes twice', async () => {
    const before = hashOf(folder.file('digits.onnx'));
    // Without 7 bits some machines have something to say.
    const scheme = ['--scheme', 'dynamic', '--reduce-range'];
    const quantize = ['quantize', 'digits.onnx', ...scheme, '--seed', '3', '--quiet'];
    const simplify = ['simplify', 'digits.onnx', '-q'];
    const results = await Promise.all([
      run(...quantize),
      run(...simplify),
      run(...quantize, '-o', 'again.onnx'),
      run(...simplify, '-o', 'again.simple.onnx'),
    ]);
    expect(results).toEqual(results.map(() => ({ code: 0, stdout: '', stderr: '' })));
    expect(hashOf(folder.file('again.onnx'))).toBe(hashOf(folder.file('digits.dynamic.onnx')));
    expect(hashOf(folder.file('again.simple.onnx'))).toBe(
      hashOf(folder.file('digits.simple.onnx')),
    );
    expect(hashOf(folder.file('digits.onnx'))).toBe(before);
    expect(names()).toHaveLength(4);
  });

  test('are replaced only with --force', async () => {
    writeFileSync(folder.file('out.onnx'), 'mine');
    const first = await run('simplify', 'digits.onnx', '-o', 'out.onnx');
    expect(first.code).toBe(2);
    expect(first.stderr).toContain('--force replaces it');
    expect(readFileSync(folder.file('out.onnx'), 'utf8')).toBe('mine');
    expect((await run('simplify', 'digits.onnx', '-o', 'out.onnx', '--force')).code).toBe(0);
    expect(readFileSync(folder.file('out.onnx')).length).toBeGreaterThan(1e5);
  });

  test('never take the place of a file that only has the name of the receipt', async () => {
    writeFileSync(folder.file('tokenizer.json'), '{"vocabulary": []}');
    const result = await run(
      'optimize',
      'digits.onnx',
      ...digits,
      '-o',
      'tokenizer.onnx',
      '--force',
    );
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('the receipt would replace a file that is no receipt');
    expect(names()).toEqual(['tokenizer.json']);
  });

  test('of a dry run are named and not written', async () => {
    const flags = [...digits, '--samples', '20', '--for', 'size', '--max-flips', '50%'];
    const result = await run('optimize', 'digits.onnx', ...flags, '--dry-run', '--json');
    expect(result.stderr).toContain('Would write digits.opt.onnx and digits.opt.json');
    expect(result.code).toBe(0);
    expect(documentOf(result)).toMatchObject({
      written: null,
      receipt: { recipe: expect.any(Array) },
    });
    const others = await Promise.all([
      run('quantize', 'digits.onnx', '--scheme', 'float16', '--dry-run'),
      run('simplify', 'digits.onnx', '--dry-run'),
    ]);
    expect(others.map(({ code }) => code)).toEqual([0, 0]);
    expect(names()).toEqual([]);
  });
});

test('a model with external data: its receipt covers all of its files', async () => {
  const { model, close } = await openModel(folder.file('digits.onnx'));
  const { parts, files } = await encodeWithExternalData(model, { location: 'weights.bin' });
  writeFileSync(folder.file('ext.onnx'), Buffer.concat(parts));
  const data: Uint8Array[] = [];
  for await (const part of files[0]!.parts()) data.push(part);
  writeFileSync(folder.file('weights.bin'), Buffer.concat(data));
  await close();
  const over = await run('simplify', 'ext.onnx', '-o', 'weights.bin', '--force');
  expect([over.code, over.stderr]).toEqual([2, expect.stringContaining('replace an input')]);

  const flags = [...digits, '--samples', '50', '--for', 'size', '--max-flips', '50%'];
  const result = await run('optimize', 'ext.onnx', ...flags, '-o', 'small.onnx', '--json');
  expect(result.code).toBe(0);
  const bytes = ['ext.onnx', 'weights.bin'].map((name) => readFileSync(folder.file(name)).length);
  expect(documentOf(result).receipt.model.bytes).toBe(bytes[0]! + bytes[1]!);
  expect((await run('verify', 'small.onnx')).code).toBe(0);

  const weights = readFileSync(folder.file('weights.bin'));
  weights[weights.length >> 1]! ^= 1;
  writeFileSync(folder.file('weights.bin'), weights);
  const verify = await run('verify', 'small.onnx');
  expect(verify.code).toBe(4);
  expect(verify.stdout).toMatch(/original unchanged +failed/);
});

describe('config file', () => {
  test('overrides defaults, and flags override it', async () => {
    const config = {
      common: { seed: 5, threads: 1, samples: 70 },
      optimize: { maxDrop: '0.25%', samples: 50, for: 'size' },
    };
    writeFileSync(folder.file('pare.config.json'), JSON.stringify(config));
    const print = async (...args: string[]) =>
      JSON.parse((await run('optimize', 'digits.onnx', '--print-config', ...args)).stdout);
    expect(await print()).toMatchObject({
      common: { seed: 5, threads: 1, quiet: false },
      optimize: { maxDrop: 0.25, samples: 50, for: 'size', target: 'node' },
    });
    expect(await print('--seed', '6', '--samples', '9', '--for', 'latency')).toMatchObject({
      common: { seed: 6 },
      optimize: { maxDrop: 0.25, samples: 9, for: 'latency' },
    });
  });

  test('gives a command what it does', async () => {
    writeFileSync(
      folder.file('pare.config.mjs'),
      "export default { quantize: { scheme: 'float16' } };",
    );
    const results = await Promise.all([
      run('quantize', 'digits.onnx'),
      run('quantize', 'digits.onnx', '--scheme', 'weight-only'),
    ]);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect(names().sort()).toEqual([
      'digits.float16.onnx',
      'digits.weight-only.onnx',
      'pare.config.mjs',
    ]);
  });
});

describe('a place that cannot be written to', () => {
  // Long work would show a table; none may come before the error.
  const optimizeTo = (path: string) => run('optimize', 'digits.onnx', ...digits, '-o', path);

  test.each([
    ['missing/out.onnx', 'there is no folder'],
    ['digits.onnx/out.onnx', 'a part of the path is a file'],
  ])('%s is refused before the work', async (path, message) => {
    const { code, stderr } = await optimizeTo(path);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('latency');
    expect(code).toBe(1);
    expect(names()).toEqual([]);
  });

  test.runIf(existsSync('/proc/self'))(
    '/proc is named, and that it is no place for files',
    async () => {
      const { code, stderr } = await run('simplify', 'digits.onnx', '-o', '/proc/out.onnx');
      expect(stderr).toMatch(/no file can be made in \/proc|no permission/);
      expect(code).toBe(1);
    },
  );

  // Needs the right to mount: run as root on Linux. Elsewhere write-file.test.ts stands for it.
  const mounts = canMount();
  test.runIf(mounts)('a read-only disk is refused before the work', async () => {
    await withDisk('ro,size=64k', async () => {
      const { code, stderr } = await optimizeTo('disk/out.onnx');
      expect(stderr).toContain('the file system is read-only');
      expect(stderr).not.toContain('latency');
      expect(code).toBe(1);
    });
  });

  test.runIf(mounts)('a full disk says so and keeps nothing', async () => {
    await withDisk('size=64k', async () => {
      const { code, stderr } = await run('simplify', 'digits.onnx', '-o', 'disk/out.onnx');
      expect(stderr).toContain('error: write: the disk is full');
      expect(code).toBe(1);
      expect(readdirSync(folder.file('disk'))).toEqual([]);
    });
  });
});

async function withDisk(options: string, use: () => Promise<void>): Promise<void> {
  mkdirSync(folder.file('disk'));
  mount(options);
  try {
    await use();
  } finally {
    execFileSync('umount', [folder.file('disk')]);
  }
}

function mount(options: string): void {
  const args = ['-t', 'tmpfs', '-o', options, 'tmpfs', folder.file('disk')];
  execFileSync('mount', args, { stdio: 'ignore' });
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  mkdirSync(folder.file('disk'));
  try {
    mount('size=4k');
    execFileSync('umount', [folder.file('disk')]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder.file('disk'), { recursive: true });
  }
}
