/**
 * The process as the command line sees it: streams, environment, signals. Injected, so that tests
 * run the whole program inside their own process.
 */
import type { Writable } from 'node:stream';
import type { Environment, TerminalStream } from './terminal.js';

export type HostStream = Writable & TerminalStream;

export interface Clock {
  /** Milliseconds that only grow. */
  now(): number;
  /** Runs again and again, without keeping the process alive; returns what stops it. */
  every(ms: number, run: () => void): () => void;
}

export interface Host {
  readonly stdout: HostStream;
  readonly stderr: HostStream;
  readonly env: Environment;
  /** Relative paths and the config file are looked up here. */
  readonly cwd: string;
  readonly clock: Clock;
  /** Calls back for each INT, TERM or HUP; returns what stops it. */
  onSignal(listener: () => void): () => void;
  /** Calls back for a rejection or an exception that nothing caught; returns what stops it. */
  onUnhandled(listener: (error: unknown) => void): () => void;
  /** Ends the process after an error that leaves it in an unknown state. */
  exitNow(code: number): void;
  /** Dies of Ctrl-C at once, whatever still runs; exit listeners are not called. A shell sees 130. */
  killNow(): void;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const unhandled = ['unhandledRejection', 'uncaughtException'] as const;

export const systemClock: Clock = Object.freeze({
  now: () => performance.now(),
  every(ms: number, run: () => void) {
    const timer = setInterval(run, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
});

export function processHost(): Host {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    clock: systemClock,
    onSignal(listener) {
      for (const signal of signals) process.on(signal, listener);
      return () => {
        for (const signal of signals) process.off(signal, listener);
      };
    },
    onUnhandled(listener) {
      for (const event of unhandled) process.on(event, listener);
      return () => {
        for (const event of unhandled) process.off(event, listener);
      };
    },
    exitNow: (code) => process.exit(code),
    killNow() {
      // process.exit would wait for a worker in the middle of a run, which may take minutes; a
      // process that dies of the signal does not.
      process.removeAllListeners('SIGINT');
      process.kill(process.pid, 'SIGINT');
    },
  };
}
