import { beforeEach, describe, expect, it } from 'vitest';
import { createProgress } from './progress.js';
import { RateMeter } from './rate-meter.js';
import { StatusLine } from './status-line.js';
import { StreamWriter } from './stream-writer.js';
import { detectTerminal } from './terminal.js';
import { TestClock, TestStream } from './test-host.js';

let clock: TestClock;
let stream: TestStream;
beforeEach(() => {
  clock = new TestClock();
});

function start(isTTY: boolean) {
  stream = new TestStream(isTTY);
  const terminal = detectTerminal(stream, {});
  const line = new StatusLine(new StreamWriter(stream), terminal);
  return { line, progress: createProgress({ line, terminal, clock }) };
}

const clearLine = '\r\u001b[2K';

/** What stands on the screen's last line after everything that was written. */
const visible = () => stream.text.replaceAll(clearLine, '\n').split('\n').at(-1);

describe('progress on a terminal', () => {
  it('shows a task after two seconds, with count, share, elapsed time and ETA', () => {
    const { progress } = start(true);
    const task = progress.task('evaluate', 100);
    for (let i = 1; i <= 19; i++) {
      clock.advance(100);
      task.update(i);
    }
    expect(stream.text).toBe('');
    for (let i = 20; i <= 50; i++) {
      clock.advance(100);
      task.update(i, 'batch 7');
    }
    clock.advance(100);
    expect(visible()).toBe('evaluate ██████████░░░░░░░░░░ 50/100 50 % 0:05 ETA 0:05 batch 7');
    task.end();
    expect(visible()).toBe('');
    expect(clock.running).toBe(0);
  });

  it('draws at most ten times a second', () => {
    const { progress } = start(true);
    const task = progress.task('read');
    clock.advance(3000);
    const before = stream.text.length;
    for (let i = 0; i < 1000; i++) task.update(i);
    expect(stream.text).toHaveLength(before);
    clock.advance(100);
    expect(visible()).toBe('read 999 0:03');
  });

  it('shows the innermost task that runs long enough, with its parents', () => {
    const { progress } = start(true);
    const outer = progress.task('candidates', 5);
    clock.advance(2500);
    outer.update(1);
    const inner = progress.task('bench');
    clock.advance(1000);
    expect(visible()).toContain('candidates ████░');
    clock.advance(2000);
    expect(visible()).toBe('candidates 2/5 > bench 0:03');
    inner.end();
    clock.advance(200);
    expect(visible()).toContain('1/5 20 % 0:06');
    outer.end();
  });

  it('keeps other lines above it', () => {
    const { line, progress } = start(true);
    progress.task('read');
    clock.advance(2500);
    line.print('a remark');
    expect(stream.text.endsWith(`${clearLine}a remark\nread 0:03`)).toBe(true);
    progress.close();
    expect(visible()).toBe('');
  });

  it('does not let a detail steer the terminal or leave the line', () => {
    const { progress } = start(true);
    const task = progress.task('read');
    clock.advance(2500);
    task.update(1, `\u001b[2J${'x'.repeat(200)}`);
    clock.advance(100);
    expect(visible()).toContain('\\x1b[2Jxxx');
    expect(visible()!.length).toBeLessThan(80);
  });
});

describe('progress elsewhere', () => {
  it('writes a plain line every ten seconds', () => {
    const { progress } = start(false);
    const task = progress.task('evaluate', 300);
    for (let i = 1; i <= 250; i++) {
      clock.advance(100);
      task.update(i);
    }
    task.end();
    expect(stream.text).toBe(
      ['evaluate: 99/300 33 % 0:10 ETA 0:20\n', 'evaluate: 199/300 66 % 0:20 ETA 0:10\n'].join(''),
    );
  });

  it('leaves no trace of short tasks', () => {
    const { progress } = start(false);
    for (let i = 0; i < 30; i++) {
      const task = progress.task('step');
      clock.advance(1000);
      task.update(1);
      task.end();
    }
    expect(stream.text).toBe('');
  });
});

describe('RateMeter', () => {
  it('follows a change of speed without jumping', () => {
    const meter = new RateMeter(0);
    expect(meter.remainingMs(100, 500)).toBeUndefined();
    for (let i = 1; i <= 20; i++) meter.update(i, i * 1000);
    expect(meter.remainingMs(100, 20_000)).toBeCloseTo(80_000);
    meter.update(21, 30_000);
    const slower = meter.remainingMs(100, 30_000)!;
    expect(slower).toBeGreaterThan(100_000);
    expect(slower).toBeLessThan(790_000);
    expect(meter.remainingMs(100, 1e9)).toBe(0);
  });
});
