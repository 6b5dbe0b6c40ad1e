import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { PareError, type PareErrorCode, throwIfAborted } from '../errors.js';
import { version } from '../version.js';
import { type Command, defineCommand, type LightCommand } from './command.js';
import { commandReference } from './docs.js';
import { exitCodeOf } from './exit-codes.js';
import { runCli } from './frame.js';
import { TestHost } from './test-host.js';

/** Says what it was given. */
const echo = defineCommand({
  name: 'echo',
  summary: 'say what was given',
  arguments: [
    { name: 'model', description: 'the ONNX file' },
    { name: 'others', description: 'more files', optional: true, variadic: true },
  ],
  options: z.object({
    maxDrop: z.optional(
      z.number().check(
        z.minimum(0),
        z.meta({
          description: 'points lost',
          unit: 'points',
        }),
      ),
    ),
    perChannel: z._default(z.boolean(), true).check(z.describe('a scale per channel')),
    exclude: z._default(z.array(z.string()), []).check(z.describe('nodes to leave')),
  }),
  examples: [{ command: 'echo a.onnx --max-drop 0.5%', text: 'half a point' }],
  async run({ args, options, globals, output }) {
    output.human('a report');
    output.detail('a detail');
    output.warn('a warning');
    output.stdout(`data ${args.model}`);
    output.json({ args, options, globals, score: Number.POSITIVE_INFINITY, size: 3n });
  },
});

const end = (name: string, run: Command['run']): LightCommand => ({
  name,
  summary: `the ${name} command`,
  load: async () =>
    defineCommand({
      name,
      summary: `the ${name} command`,
      arguments: [],
      options: z.object({ samples: z.optional(z.int().check(z.describe('how many'))) }),
      examples: [],
      run: run as () => Promise<void>,
    }),
});

let started = () => {};
const commands: LightCommand[] = [
  { name: 'echo', summary: echo.summary, example: 'echo a.onnx', load: async () => echo },
  end('fail', async () => {
    throw new PareError('invalid-model', 'not a protobuf', {
      file: 'a.onnx',
      hint: 'export it again',
      cause: new Error('byte 3'),
    });
  }),
  end('crash', async () => {
    throw new TypeError('x is undefined');
  }),
  end('lossy', async () => 4),
  end('wait', async ({ signal }) => {
    await new Promise((done) => {
      signal.addEventListener('abort', done);
      started();
    });
    throwIfAborted(signal);
  }),
];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pare-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function pare(...argv: string[]) {
  const host = new TestHost({ cwd: folder });
  const code = await runCli(argv, commands, host);
  expect(host.listeners).toBe(0);
  return { code, stdout: host.stdout.text, stderr: host.stderr.text };
}

describe('help and version', () => {
  it('lists the commands, examples first, without loading any', async () => {
    const host = new TestHost();
    const unloadable = [{ ...commands[0]!, load: () => Promise.reject(new Error('loaded')) }];
    expect(await runCli(['--help'], unloadable, host)).toBe(0);
    expect(host.stdout.text).toMatch(
      /Examples:\n {2}pare echo a.onnx\n[\s\S]*echo {2}say what was/,
    );
  });

  it('shows a command with its options', async () => {
    const { code, stdout } = await pare('echo', '--help');
    expect(code).toBe(0);
    expect(stdout).toContain('pare echo MODEL [OTHERS...] [options]');
    expect(stdout).toMatch(/--max-drop POINTS +points lost\n/);
    expect(stdout).toMatch(/--no-per-channel +a scale per channel\n/);
    expect((await pare('help', 'echo')).stdout).toBe(stdout);
  });

  it('answers nothing with help on stderr and a usage code', async () => {
    const { code, stdout, stderr } = await pare();
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Commands:');
  });

  it('knows its version', async () => {
    expect(await pare('--version')).toMatchObject({ code: 0, stdout: `${version}\n` });
  });
});

describe('output', () => {
  it('puts data on stdout and the rest on stderr', async () => {
    expect(await pare('echo', 'a.onnx')).toEqual({
      code: 0,
      stdout: 'data a.onnx\n',
      stderr: 'a report\nwarning: a warning\n',
    });
  });

  it('is short with --quiet and long with --verbose', async () => {
    expect((await pare('-q', 'echo', 'a.onnx')).stderr).toBe('warning: a warning\n');
    expect((await pare('echo', 'a.onnx', '-v')).stderr).toContain('a detail\n');
  });

  it('is one document with --json', async () => {
    const { stdout } = await pare('echo', 'a.onnx', 'b', 'c', '--json', '--threads', '3');
    expect(JSON.parse(stdout)).toEqual({
      schema: 1,
      args: { model: 'a.onnx', others: ['b', 'c'] },
      options: { perChannel: true, exclude: [] },
      globals: {
        json: true,
        quiet: false,
        verbose: false,
        threads: 3,
        seed: 0,
        force: false,
        dryRun: false,
      },
      score: 'Infinity',
      size: 3,
    });
  });

  it('does not mind a reader that has gone', async () => {
    const host = new TestHost();
    host.stdout.failure = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    expect(await runCli(['echo', 'a.onnx'], commands, host)).toBe(0);
    expect(host.stderr.text).not.toContain('error');
  });

  it('says when stdout cannot be written', async () => {
    const host = new TestHost();
    host.stdout.failure = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    expect(await runCli(['echo', 'a.onnx'], commands, host)).toBe(1);
    expect(host.stderr.text).toContain('error: cannot write the output: no space');
  });
});

describe('errors', () => {
  it.each([
    [['eco'], 'there is no command "eco"', 'did you mean "pare echo"?'],
    [['--max-drop', '1', 'echo'], 'unknown option --max-drop before the name', 'come after its'],
    [['echo', 'a', '--max-drpo', '1'], 'echo: unknown option "--max-drpo"', 'mean --max-drop?'],
    [['echo'], 'echo: MODEL is missing: the ONNX file', 'for example: pare echo a.onnx'],
    [['fail', 'a'], 'fail: too many arguments', '--help'],
    [['echo', 'a', '--max-drop'], 'argument missing', '--help'],
    [['echo', 'a', '--max-drop', '-1'], '--max-drop: must be at least 0, got -1', ''],
    [['echo', 'a', '--threads', '0'], '--threads: expected a whole number of at least 1', ''],
    [['echo', 'a', '--config', 'no.json'], 'read: there is no such file', ''],
  ])('%j', async (argv, message, hint) => {
    const { code, stdout, stderr } = await pare(...argv);
    expect(stderr).toContain(`error: `);
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
    expect([code, stdout]).toEqual([argv.includes('no.json') ? 1 : 2, '']);
  });

  it('shows message and hint, and the causes with --verbose', async () => {
    expect(await pare('fail')).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: not a protobuf (file "a.onnx")\nhint: export it again\n',
    });
    expect((await pare('fail', '--verbose')).stderr).toMatch(/at .*\ncaused by: Error: byte 3\n/);
  });

  it('is a document with --json', async () => {
    const { code, stdout } = await pare('fail', '--json');
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toEqual({
      schema: 1,
      error: {
        code: 'invalid-model',
        message: 'not a protobuf (file "a.onnx")',
        where: { file: 'a.onnx' },
        hint: 'export it again',
      },
    });
    expect(JSON.parse((await pare('nothing', '--json')).stdout).error.code).toBe('usage');
  });

  it('calls a bug unexpected', async () => {
    const { code, stderr } = await pare('crash');
    expect(code).toBe(1);
    expect(stderr).toContain('error: x is undefined\nhint: this may be a bug');
  });

  it('takes the exit code of a result', async () => expect((await pare('lossy')).code).toBe(4));

  it('has an exit code for every kind', () => {
    const codes: Record<PareErrorCode, number> = {
      usage: 2,
      'invalid-data': 2,
      'data-mismatch': 2,
      'invalid-model': 3,
      quality: 4,
      budget: 5,
      unsupported: 6,
      aborted: 130,
      io: 1,
      engine: 1,
    };
    for (const [code, expected] of Object.entries(codes)) {
      expect(exitCodeOf(new PareError(code as PareErrorCode, 'x'))).toBe(expected);
    }
    expect(exitCodeOf('x')).toBe(1);
  });
});

describe('interruption', () => {
  function waiting(...argv: string[]) {
    const host = new TestHost();
    const ready = new Promise<void>((done) => {
      started = done;
    });
    return { host, ready, code: runCli(['wait', ...argv], commands, host) };
  }

  it('stops the command at the first Ctrl-C', async () => {
    const { host, ready, code } = waiting('--json');
    await ready;
    host.interrupt();
    expect(await code).toBe(130);
    expect(host.stderr.text).toContain('press Ctrl-C again');
    expect(JSON.parse(host.stdout.text).error.code).toBe('aborted');
    expect(host.exits).toEqual([]);
  });

  it('ends at once at the second', async () => {
    const { host, ready, code } = waiting();
    await ready;
    host.interrupt();
    host.interrupt();
    expect(host.exits).toEqual([130]);
    await code;
  });

  it('ends when nobody catches a rejection', async () => {
    const { host, ready, code } = waiting();
    await ready;
    host.reject(new Error('lost'));
    expect(host.exits).toEqual([1]);
    expect(host.stderr.text).toContain('error: lost');
    host.interrupt();
    await code;
  });
});

describe('config file', () => {
  const config = (value: unknown, name = 'pare.config.json') =>
    writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));
  const optionsOf = async (...argv: string[]) =>
    JSON.parse((await pare('echo', 'a.onnx', '--json', ...argv)).stdout);

  it('comes between defaults and flags, and its own section before the common one', async () => {
    await config({
      common: { threads: 2, seed: 5, maxDrop: 3, perChannel: false },
      echo: { maxDrop: '0.5%' },
    });
    expect(await optionsOf()).toMatchObject({
      options: { maxDrop: 0.5, perChannel: false, exclude: [] },
      globals: { threads: 2, seed: 5 },
    });
    expect(await optionsOf('--max-drop', '1', '--per-channel', '--seed', '6')).toMatchObject({
      options: { maxDrop: 1, perChannel: true },
      globals: { threads: 2, seed: 6 },
    });
  });

  it('is a module too, and may be named', async () => {
    await config('export default { echo: { exclude: ["a"] } }', 'pare.config.mjs');
    expect((await optionsOf()).options.exclude).toEqual(['a']);
    await config({ echo: { exclude: 'b,c' } }, 'other.json');
    expect((await optionsOf('--config', 'other.json')).options.exclude).toEqual(['b', 'c']);
  });

  it('may hold options of other commands in common', async () => {
    await config({ $schema: 'x', common: { samples: 10 } });
    expect((await pare('echo', 'a')).code).toBe(0);
  });

  it.each([
    [{ eco: {} }, 'config: unknown section "eco"', 'did you mean "echo"?'],
    [{ echo: { maxDrp: 1 } }, 'config: unknown key in "echo" "maxDrp"', 'did you mean "maxDrop"?'],
    [{ common: { thread: 1 } }, 'unknown key in "common" "thread"', 'did you mean "threads"?'],
    [{ echo: { threads: 1 } }, '"threads" belongs into the section "common"', ''],
    [{ echo: { maxDrop: -1 } }, 'echo.maxDrop: must be at least 0, got -1', ''],
    [{ echo: { maxDrop: 'much' } }, 'echo.maxDrop: "much" is not a number', 'for example 0.5'],
    [{ common: { threads: 0 } }, 'common.threads: expected a whole number of at least 1', ''],
    [{ common: { force: 1 } }, 'common.force: expected true or false, got 1', ''],
    [{ echo: 3 }, 'section "echo" must be an object', ''],
    [[], 'expected an object with a section per command', ''],
    ['{', 'not valid JSON', ''],
  ])('refuses %j by the name of the file', async (value, message, hint) => {
    await config(value);
    const { code, stderr } = await pare('echo', 'a');
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
    expect(stderr).toContain('pare.config.json');
    expect(code).toBe(2);
  });

  it('refuses two files', async () => {
    await config({});
    await config('export default {}', 'pare.config.mjs');
    expect((await pare('echo', 'a')).stderr).toContain('pare.config.json and pare.config.mjs');
  });

  it('prints what was merged in a form that can be saved, without running', async () => {
    await config({ echo: { maxDrop: 0.5 } });
    const { code, stdout, stderr } = await pare('echo', '--print-config', '--seed', '3');
    expect(code).toBe(0);
    expect(stderr).not.toContain('a report');
    expect(JSON.parse(stdout)).toEqual({
      common: { seed: 3, force: false, quiet: false, verbose: false },
      echo: { maxDrop: 0.5, perChannel: true, exclude: [] },
    });
    await config(stdout);
    expect((await pare('echo', '--print-config')).stdout).toBe(stdout);
  });
});

describe('reference page', () => {
  it('lists commands, options and exit codes', async () => {
    const text = await commandReference(commands);
    expect(text).toContain('| [echo](#echo) | say what was given |');
    expect(text).toContain('| `--max-drop POINTS` | Points lost. |  |');
    expect(text).toContain('| `--no-per-channel` | A scale per channel. |  |');
    expect(text).toContain('# half a point\npare echo a.onnx --max-drop 0.5%');
    expect(text).toContain('| 130 | interrupted');
  });

  it('refuses an option without a description', async () => {
    const options = z.object({ secret: z.optional(z.string()) });
    const command = { ...echo, options };
    const light = { name: 'echo', summary: '', load: async () => command };
    await expect(commandReference([light])).rejects.toThrow('--secret of echo has no description');
  });
});
