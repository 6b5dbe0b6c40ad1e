/**
 * Runs the built program in a process of its own, as users do, in a folder of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const asset = (name: string) =>
  fileURLToPath(new URL(`../../assets/${name}`, import.meta.url));

/** What every command on the digits needs: few samples, since only the way is tested. */
export const digits = ['--data', asset('digits.npz'), '--preprocess', 'unit', '--samples', '200'];

export interface Result {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly result: Promise<Result>;
}

export function startPare(
  args: readonly string[],
  cwd: string,
  nodeFlags: readonly string[] = [],
): Running {
  const child = spawn(process.execPath, [...nodeFlags, program, ...args], {
    cwd,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const result = new Promise<Result>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, result };
}

export function pare(args: readonly string[], cwd: string): Promise<Result> {
  return startPare(args, cwd).result;
}

/** The document that --json writes; throws when stdout holds anything else. */
export function documentOf({ stdout, stderr }: Result) {
  try {
    return JSON.parse(stdout);
  } catch (cause) {
    throw new Error(`stdout is not one JSON document: ${stdout.slice(0, 500)}\n${stderr}`, {
      cause,
    });
  }
}

/** A new folder with the digits' model in it, and what removes it. */
export function makeFolder(): { path: string; file: (name: string) => string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'pare-test-'));
  copyFileSync(asset('digits.onnx'), join(path, 'digits.onnx'));
  return {
    path,
    file: (name) => join(path, name),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

export function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
