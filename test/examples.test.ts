/**
 * Runs what the documentation shows: each script of examples/, and every JavaScript block of the
 * pages below that is marked as runnable (```js run). A block runs as a user's file does: in a
 * folder of its own with pare in node_modules and the digits beside it. A block of text marked
 * as output (```text output) right after it must be what it prints. Needs a build (npm test makes
 * one).
 */
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = [
  'README.md',
  'docs/library.md',
  'docs/data.md',
  'docs/gradients.md',
  'docs/training.md',
  'docs/explain.md',
];

/** Arguments that keep an example short, and a line that it must print. */
const examples = [
  { file: 'custom-pass.mjs', args: [], prints: '[softmax] logits = Softmax' },
  { file: 'optimize-in-node.mjs', args: ['FOLDER', '40'], prints: 'dynamic int8' },
  {
    file: 'reports.mjs',
    args: ['FOLDER', '--samples', '40', '--only', 'evaluate'],
    prints: 'digits.evaluate.html',
  },
  { file: 'quantize-and-compare.mjs', args: ['--samples', '40'], prints: 'weight-only: 3 changes' },
];

interface Block {
  readonly page: string;
  readonly line: number;
  readonly code: string;
  readonly output: string | undefined;
}

function runnableBlocks(page: string): Block[] {
  const text = readFileSync(join(root, page), 'utf8');
  const pattern = /^```js run\n([\s\S]*?)^```\n(?:\n```text output\n([\s\S]*?)^```$)?/gm;
  return [...text.matchAll(pattern)].map(({ index, 1: code, 2: output }) => ({
    page,
    line: text.slice(0, index).split('\n').length,
    code: code!,
    output,
  }));
}

let folder: string;
beforeAll(() => {
  if (!existsSync(join(root, 'dist', 'index.js'))) throw new Error('npm run build first');
  folder = mkdtempSync(join(tmpdir(), 'pare-examples-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'pare'), 'junction');
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n');
  for (const name of ['digits.onnx', 'digits.npz']) {
    copyFileSync(join(root, 'assets', name), join(folder, name));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Standard output; rejects with that of errors when the script fails. */
async function run(script: string, args: readonly string[] = []): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], {
    cwd: folder,
  });
  return stdout;
}

describe('examples', () => {
  test.concurrent.each(examples)('$file', { timeout: 60_000 }, async ({ file, args, prints }) => {
    const given = args.map((arg) => (arg === 'FOLDER' ? folder : arg));
    expect(await run(join(root, 'examples', file), given)).toContain(prints);
  });
});

describe.each(pages)('%s', (page) => {
  const blocks = runnableBlocks(page);

  test('has blocks that run', () => expect(blocks.length).toBeGreaterThan(0));

  test.concurrent.each(blocks)(
    'line $line',
    { timeout: 60_000 },
    async ({ line, code, output }) => {
      const script = join(folder, `${page.replace(/\W/g, '-')}-${line}.mjs`);
      writeFileSync(script, code);
      const printed = await run(script);
      if (output !== undefined) expect(printed).toBe(output);
    },
  );
});
