/**
 * The program around the commands: finds the command, shows help, version and errors, handles
 * Ctrl-C, and turns every end into an exit code. Imports nothing heavy, so that `pare --help`
 * starts in the time of Node itself.
 */
import { didYouMean } from '../data/did-you-mean.js';
import { removeTempFiles } from '../disk/cleanup.js';
import { removeTempFolders } from '../engine/node/temp-files.js';
import { PareError } from '../errors.js';
import { version } from '../version.js';
import type { LightCommand } from './command.js';
import { ExitCode, exitCodeOf } from './exit-codes.js';
import { programHelp } from './help.js';
import { type Host, processHost } from './host.js';
import { createIo, type Io, type Writers } from './io.js';
import { errorDocument, errorText } from './print-error.js';
import { reportingFlags, scanArgv } from './scan-argv.js';
import { StreamWriter } from './stream-writer.js';

/**
 * Runs `pare` with the given arguments (without node and script) and returns its exit code when
 * everything is written. Never throws.
 *
 * @example process.exit(await runCli(process.argv.slice(2), commands));
 */
export async function runCli(
  argv: readonly string[],
  commands: readonly LightCommand[],
  host: Host = processHost(),
): Promise<number> {
  const run = new Run(argv, host);
  try {
    await run.execute(commands);
  } catch (error) {
    run.fail(error);
  }
  return await run.end();
}

/** One run of the program: what is open, and how it will end. */
class Run {
  readonly #argv: readonly string[];
  readonly #host: Host;
  readonly #writers: Writers;
  readonly #abort = new AbortController();
  readonly #stop: (() => void)[];
  #verbose: boolean;
  #io: Io;
  #code: number = ExitCode.ok;
  #interrupted = false;

  constructor(argv: readonly string[], host: Host) {
    this.#argv = argv;
    this.#host = host;
    const flags = reportingFlags(argv);
    this.#verbose = flags.verbose;
    this.#writers = {
      // Nobody reads the result any more: the command may stop.
      stdout: new StreamWriter(host.stdout, () => this.#abort.abort(new Error('stdout is closed'))),
      stderr: new StreamWriter(host.stderr),
    };
    this.#io = createIo(host, this.#writers, flags);
    this.#stop = [
      host.onSignal(() => this.#interrupt()),
      host.onUnhandled((error) => this.#crash(error)),
    ];
  }

  async execute(commands: readonly LightCommand[]): Promise<void> {
    const { command: name, rest, help, version: asksVersion } = scanArgv(this.#argv);
    if (name === undefined) {
      this.#withoutCommand(commands, help, asksVersion);
      return;
    }
    const light = findCommand(name, commands);
    // One after the other: Node words an import that fails beside another one misleadingly.
    const command = await light.load();
    const { helpOf, runCommand } = await import('./run-command.js');
    if (help) {
      this.#writers.stdout.write(`${helpOf(command, this.#io.output.stdoutTerminal)}\n`);
      return;
    }
    const code = await runCommand({
      command,
      argv: rest,
      commands,
      cwd: this.#host.cwd,
      signal: this.#abort.signal,
      createIo: (settings) => {
        this.#verbose = settings.verbose;
        this.#io = createIo(this.#host, this.#writers, settings);
        return this.#io;
      },
    });
    this.#code = code ?? ExitCode.ok;
    const { output } = this.#io;
    if (output.isJson && !output.jsonWritten && !this.#abort.signal.aborted) {
      throw new Error(`the command ${name} wrote no JSON document`);
    }
  }

  #withoutCommand(commands: readonly LightCommand[], help: boolean, asksVersion: boolean): void {
    if (asksVersion) {
      this.#writers.stdout.write(`${version}\n`);
      return;
    }
    // Nothing asked is a mistake: the help comes, but a script does not take it for success.
    const writer = help ? this.#writers.stdout : this.#writers.stderr;
    const { terminal, stdoutTerminal } = this.#io.output;
    writer.write(`${programHelp(commands, help ? stdoutTerminal : terminal)}\n`);
    if (!help) this.#code = ExitCode.usage;
  }

  fail(error: unknown): void {
    const { signal } = this.#abort;
    const stopped = signal.aborted && isAbort(error, signal.reason);
    this.#code = stopped ? ExitCode.interrupted : exitCodeOf(error);
    // The reader of stdout has gone: no one to tell, and nothing went wrong.
    if (stopped && !this.#interrupted) return;
    const shown = stopped ? new PareError('aborted', 'interrupted') : error;
    const { output, print } = this.#io;
    if (output.isJson && !output.jsonWritten) output.json(errorDocument(shown));
    print(errorText(shown, output.terminal.style, this.#verbose));
  }

  /** Writes what is left and returns the exit code. */
  async end(): Promise<number> {
    this.#io.progress.close();
    try {
      await this.#writers.stdout.flush();
    } catch (error) {
      this.fail(error);
    }
    await this.#writers.stderr.flush().catch(() => {});
    for (const stop of this.#stop) stop();
    this.#writers.stdout.release();
    this.#writers.stderr.release();
    if (this.#interrupted) return ExitCode.interrupted;
    return this.#code === ExitCode.interrupted && this.#writers.stdout.broken
      ? ExitCode.ok
      : this.#code;
  }

  #interrupt(): void {
    if (this.#interrupted) {
      removeTempFiles();
      removeTempFolders();
      this.#host.killNow();
      return;
    }
    this.#interrupted = true;
    this.#io.print('stopping; press Ctrl-C again to stop at once');
    this.#abort.abort(new Error('interrupted'));
  }

  /** Nobody waits for what failed, so nothing can be cleaned up in order. */
  #crash(error: unknown): void {
    this.#io.progress.close();
    this.fail(error);
    removeTempFiles();
    this.#host.exitNow(this.#code);
  }
}

/** What a command throws because it was told to stop. */
function isAbort(error: unknown, reason: unknown): boolean {
  if (error === reason) return true;
  if (error instanceof PareError) return error.code === 'aborted';
  return error instanceof Error && error.name === 'AbortError';
}

function findCommand(name: string, commands: readonly LightCommand[]): LightCommand {
  const command = commands.find((candidate) => candidate.name === name);
  if (command) return command;
  const close = didYouMean(
    name,
    commands.map((candidate) => candidate.name),
  );
  throw new PareError('usage', `there is no command "${name}"`, {
    hint: close ? `did you mean "pare ${close}"?` : 'pare --help lists the commands',
  });
}
