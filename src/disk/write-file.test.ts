import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PareError, throwIfAborted } from '../errors.js';
import { tempName } from './temp-names.js';
import { writeFileAtomic, writeFilesAtomic } from './write-file.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pare-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (name: string) => readFileSync(join(folder, name), 'utf8');
const errorOf = (promise: Promise<unknown>): Promise<PareError> =>
  promise.then(
    () => expect.fail('nothing was thrown'),
    (error) => error,
  );

describe('writeFileAtomic', () => {
  it('writes the parts and leaves nothing else', async () => {
    await writeFileAtomic(join(folder, 'a.onnx'), [bytes('one '), bytes(''), bytes('two')]);
    expect(text('a.onnx')).toBe('one two');
    expect(readdirSync(folder)).toEqual(['a.onnx']);
  });

  it('writes any number of parts of any size, made on the way', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 3000 }),
        async (parts) => {
          const path = join(folder, 'b');
          async function* generate() {
            yield* parts;
          }
          await writeFileAtomic(path, generate(), { force: true });
          expect(readFileSync(path)).toEqual(Buffer.concat(parts));
        },
      ),
      { numRuns: 20 },
    );
  });

  it('replaces a file only when told to', async () => {
    const path = join(folder, 'a.onnx');
    writeFileSync(path, 'old');
    const error = await errorOf(writeFileAtomic(path, [bytes('new')]));
    expect(error).toMatchObject({ code: 'usage', hint: '--force replaces it' });
    expect(text('a.onnx')).toBe('old');
    await writeFileAtomic(path, [bytes('new')], { force: true });
    expect(text('a.onnx')).toBe('new');
  });

  it('never writes over an input, by whatever name', async () => {
    const input = join(folder, 'in.onnx');
    writeFileSync(input, 'model');
    symlinkSync(input, join(folder, 'link.onnx'));
    for (const path of [input, join(folder, 'link.onnx'), join(folder, '.', 'in.onnx')]) {
      const options = { force: true, inputs: [input] };
      const error = await errorOf(writeFileAtomic(path, [bytes('x')], options));
      expect(error.code).toBe('usage');
      expect(error.message).toContain('would replace an input');
    }
    expect(text('in.onnx')).toBe('model');
  });

  it('writes to the target of a link', async () => {
    writeFileSync(join(folder, 'real'), 'old');
    symlinkSync(join(folder, 'real'), join(folder, 'link'));
    await writeFileAtomic(join(folder, 'link'), [bytes('new')], { force: true });
    expect(text('real')).toBe('new');
  });

  it.each([
    ['missing/out.onnx', 'io', 'write: there is no folder'],
    ['file/out.onnx', 'io', 'a part of the path is a file'],
    ['.', 'usage', 'the output is a folder'],
    [`${'x'.repeat(300)}.onnx`, 'io', 'the name is too long'],
  ])('refuses %s', async (name, code, message) => {
    writeFileSync(join(folder, 'file'), '');
    const error = await errorOf(writeFileAtomic(join(folder, name), [bytes('x')], { force: true }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it.runIf(existsSync('/dev/null'))('refuses a device', async () => {
    const error = await errorOf(writeFileAtomic('/dev/null', [bytes('x')], { force: true }));
    expect(error.message).toContain('not a regular file');
  });

  it.runIf(existsSync('/proc/self'))('says that a file system takes no files', async () => {
    const error = await errorOf(writeFileAtomic('/proc/out.onnx', [bytes('x')]));
    expect(error.code).toBe('io');
    expect(error.message).toContain('file "/proc/out.onnx"');
  });

  // /dev/full takes an open and refuses every byte, as a full disk does.
  it.runIf(existsSync('/dev/full'))('says that the disk is full', async () => {
    const openFile = (() => open('/dev/full', 'w')) as unknown as typeof open;
    const path = join(folder, 'a.onnx');
    const error = await errorOf(writeFileAtomic(path, [bytes('x')], { openFile }));
    expect(error).toMatchObject({ code: 'io', where: { file: path } });
    expect(error.message).toContain('write: the disk is full');
    expect(error.hint).toContain('free space');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves nothing when the parts fail, or the caller stops', async () => {
    const failing = function* () {
      yield bytes('half');
      throw new Error('no more');
    };
    const path = join(folder, 'a.onnx');
    expect((await errorOf(writeFileAtomic(path, failing()))).message).toContain('no more');
    const controller = new AbortController();
    const stopping = function* () {
      yield bytes('half');
      controller.abort();
      throwIfAborted(controller.signal);
    };
    const stopped = writeFileAtomic(path, stopping(), { signal: controller.signal });
    expect((await errorOf(stopped)).code).toBe('aborted');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('writeFilesAtomic', () => {
  it('writes all or none', async () => {
    const files = (last: Iterable<Uint8Array>) => [
      { path: join(folder, 'm.onnx'), parts: [bytes('model')] },
      { path: join(folder, 'm.onnx.data'), parts: last },
    ];
    const failing = function* (): Generator<Uint8Array> {
      yield bytes('half');
      throw new Error('no more');
    };
    await errorOf(writeFilesAtomic(files(failing())));
    expect(readdirSync(folder)).toEqual([]);
    await writeFilesAtomic(files([bytes('weights')]));
    expect([text('m.onnx'), text('m.onnx.data')]).toEqual(['model', 'weights']);
    expect(readdirSync(folder)).toHaveLength(2);
  });

  it('refuses the same name twice', async () => {
    const file = { path: join(folder, 'a'), parts: [] };
    expect((await errorOf(writeFilesAtomic([file, file]))).message).toContain('same name');
  });
});

describe('a killed process', () => {
  /** Writes half a file, says so, and waits for the rest for ever. */
  const script = `
    import { writeFileAtomic } from ${JSON.stringify(fileURLToPath(new URL('./write-file.ts', import.meta.url)))};
    async function* parts() {
      yield new Uint8Array(2 ** 20);
      for (let i = 0; i < 1024; i++) yield new Uint8Array(1);
      console.log('half');
      await new Promise((done) => setTimeout(done, 60_000));
    }
    await writeFileAtomic(process.env.PARE_TEST_OUTPUT, parts());
  `;

  /** A process of its own, which compiles TypeScript on the way as this test does. */
  function startWriter(output: string): ChildProcess {
    writeFileSync(join(folder, 'script.ts'), script);
    const run = `
      import { createViteServer } from ${JSON.stringify(import.meta.resolve('vitest/node'))};
      const server = { middlewareMode: true, ws: false, watch: null };
      const vite = await createViteServer({ configFile: false, logLevel: 'silent', server });
      await vite.ssrLoadModule(${JSON.stringify(join(folder, 'script.ts'))});
    `;
    return spawn(process.execPath, ['--input-type=module', '--eval', run], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PARE_TEST_OUTPUT: output },
    });
  }

  it('leaves no output, and its temporary file goes with the next write', async () => {
    const child = startWriter(join(folder, 'out.onnx'));
    await new Promise((done) => child.stdout!.once('data', done));
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await ended;
    const left = readdirSync(folder).filter((name) => name !== 'script.ts');
    expect(left).toEqual([expect.stringMatching(/^\.out\.onnx\.pare-tmp-\d+-0$/)]);
    await writeFileAtomic(join(folder, 'other.onnx'), [bytes('x')]);
    expect(readdirSync(folder).sort()).toEqual(['other.onnx', 'script.ts']);
  });

  it('is told from a living one', async () => {
    const living = tempName('a.onnx');
    writeFileSync(join(folder, living), '');
    await writeFileAtomic(join(folder, 'b.onnx'), [bytes('x')]);
    expect(readdirSync(folder).sort()).toEqual([living, 'b.onnx']);
  });
});
