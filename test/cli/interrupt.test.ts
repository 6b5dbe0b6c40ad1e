/**
 * The program stopped at any moment, kindly or not, leaves whole files or none.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadModel } from '../../src/load.js';
import { bytesSource } from '../../src/onnx/byte-source.js';
import { digits, makeFolder, pare, startPare } from './run-pare.js';

let folder: ReturnType<typeof makeFolder>;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => folder.remove());

/** Every visible .onnx and .json is complete; temporary files are hidden. */
async function expectWholeFiles(): Promise<void> {
  for (const name of readdirSync(folder.path)) {
    if (name.startsWith('.')) continue;
    const bytes = readFileSync(folder.file(name));
    if (name.endsWith('.json')) JSON.parse(bytes.toString());
    else await loadModel(bytesSource(bytes));
  }
}

/** More samples than any machine evaluates in the time until it is interrupted; says when. */
const endless = `
  export default function* () {
    for (let i = 0; i < 20000; i++) {
      yield { inputs: { data: Float32Array.from({ length: 784 }, (_, at) => Math.sin(i + at)), dims: [1, 28, 28] }, label: i % 10 };
    }
    setTimeout(() => console.error('READY'), 100);
  }
`;

describe.runIf(process.platform !== 'win32')('a signal', () => {
  test('INT ends optimize with 130 and no file', async () => {
    writeFileSync(folder.file('samples.mjs'), endless);
    const before = readdirSync(folder.path);
    const args = ['optimize', 'digits.onnx', '--data', 'samples.mjs', '-o', 'out.onnx'];
    const { child, result } = startPare(args, folder.path);
    for await (const [text] of onData(child.stderr!)) if (text.includes('READY')) break;
    child.kill('SIGINT');
    const { code, stdout, stderr } = await result;
    expect(stderr).toContain('error: interrupted');
    expect([code, stdout]).toEqual([130, '']);
    expect(readdirSync(folder.path)).toEqual(before);
  });

  test('KILL at any moment of optimize leaves whole files or none', async () => {
    const flags = ['--samples', '30', '-o', 'out.onnx', '--force'];
    const args = ['optimize', 'digits.onnx', ...digits, ...flags];
    const moments = [50, 400, 800, 1300, 1800].map((ms) => ms + Math.random() * 200);
    for (const ms of moments) {
      const { child, result } = startPare(args, folder.path);
      const timer = setTimeout(() => child.kill('SIGKILL'), ms);
      await result;
      clearTimeout(timer);
      await expectWholeFiles();
    }
  });

  test('KILL while files are being written leaves whole files; the next run cleans up', async () => {
    const args = ['simplify', 'digits.onnx', '-o', 'out.onnx', '--force'];
    for (let round = 0; round < 3; round++) {
      const { child, result } = startPare(args, folder.path);
      const watcher = watch(folder.path, () => child.kill('SIGKILL'));
      await result;
      watcher.close();
      await expectWholeFiles();
    }
    expect((await pare(args, folder.path)).code).toBe(0);
    expect(readdirSync(folder.path).sort()).toEqual(['digits.onnx', 'out.onnx']);
    await expectWholeFiles();
  });
});

async function* onData(stream: NodeJS.ReadableStream): AsyncGenerator<[string]> {
  for (;;) yield (await once(stream, 'data')) as [string];
}
