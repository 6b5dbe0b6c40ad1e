/**
 * Runs one command: parses its flags, merges them with the config file, and calls it. Loaded only
 * when a command is named, since commander and zod cost as much time as Node itself.
 */
import { CommanderError, Command as Parser } from 'commander';
import { didYouMean } from '../data/did-you-mean.js';
import { PareError } from '../errors.js';
import { type ArgumentSpec, type Command, type LightCommand, loadAll } from './command.js';
import { loadConfig } from './config.js';
import type { ExitCode } from './exit-codes.js';
import { configurableGlobals, type GlobalValues, globalOptions } from './global-options.js';
import { argumentName, commandHelp } from './help.js';
import type { Io, IoSettings } from './io.js';
import { mergeOptions } from './merge-options.js';
import type { OptionSpec } from './option-spec.js';
import { addOptions, givenOptions, optionsFromSchema } from './options.js';
import type { Output } from './output.js';
import { toJson } from './output.js';
import type { Terminal } from './terminal.js';

export interface RunParts {
  readonly command: Command;
  /** The arguments without the command's name. */
  readonly argv: readonly string[];
  readonly commands: readonly LightCommand[];
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** Makes the output once the flags are known. */
  readonly createIo: (settings: IoSettings) => Io;
}

/** Throws whatever the command throws, and PareError `usage` for wrong arguments. */
// biome-ignore lint/suspicious/noConfusingVoidType: a command that just ends is the usual one
export async function runCommand(parts: RunParts): Promise<ExitCode | void> {
  const { command, argv, commands, cwd, signal } = parts;
  const specs = optionsFromSchema(command.options);
  const parsed = parse(command, specs, argv);
  const names = commands.map(({ name }) => name);
  const config = await loadConfig(cwd, parsed.globals.config, names);
  const { options, globals } = await mergeOptions({
    command: command.name,
    schema: command.options,
    specs,
    given: parsed.options,
    givenGlobals: parsed.globals.values,
    config,
    allOptions: () => keysOfAll(commands),
  });
  const io = parts.createIo(globals);
  if (parsed.globals.printConfig) {
    printConfig(command, options, globals, io.output, config?.file);
    return;
  }
  const args = nameArguments(command.arguments, parsed.args);
  const context = {
    ...{ args, argv, options, globals, cwd, signal },
    progress: io.progress,
    output: io.output,
  };
  // The definition's own types were checked where it was made.
  return await command.run(context as never);
}

/** The text of `pare COMMAND --help`. */
export function helpOf(command: Command, terminal: Terminal): string {
  return commandHelp(command, optionsFromSchema(command.options), terminal);
}

interface Parsed {
  readonly args: readonly string[];
  readonly options: Record<string, unknown>;
  readonly globals: {
    readonly values: Partial<GlobalValues>;
    readonly config: string | undefined;
    readonly printConfig: boolean;
  };
}

function parse(command: Command, specs: readonly OptionSpec[], argv: readonly string[]): Parsed {
  const parser = new Parser(command.name)
    .exitOverride()
    .helpOption(false)
    .showSuggestionAfterError(false)
    .allowExcessArguments(false)
    .configureOutput({ writeErr: () => {}, writeOut: () => {} });
  addOptions(parser, [...specs, ...globalOptions]);
  // All are optional here: --print-config needs none, and errors are worded below.
  const last = command.arguments.at(-1);
  for (const spec of command.arguments) {
    parser.argument(`[${spec.name}${spec.variadic && spec === last ? '...' : ''}]`);
  }
  try {
    parser.parse(argv, { from: 'user' });
  } catch (error) {
    throw error instanceof CommanderError ? usageError(error, command, specs) : error;
  }
  const { config, printConfig, ...values } = givenOptions(parser, globalOptions);
  if (!printConfig) checkArguments(command, parser.args);
  return {
    args: parser.args,
    options: givenOptions(parser, specs),
    globals: { values, config: config as string | undefined, printConfig: printConfig === true },
  };
}

function checkArguments(command: Command, args: readonly string[]): void {
  const missing = command.arguments.find((spec, i) => !spec.optional && args[i] === undefined);
  if (!missing) return;
  throw new PareError(
    'usage',
    `${command.name}: ${argumentName(missing)} is missing: ${missing.description}`,
    { hint: command.examples[0] ? `for example: pare ${command.examples[0].command}` : undefined },
  );
}

function nameArguments(specs: readonly ArgumentSpec[], args: readonly string[]) {
  return Object.fromEntries(
    specs.map(({ name, variadic }, i) => [name, variadic ? args.slice(i) : args[i]]),
  );
}

function usageError(
  error: CommanderError,
  command: Command,
  specs: readonly OptionSpec[],
): PareError {
  const message = error.message.replace(/^error: /, '').replaceAll("'", '"');
  let hint = `pare ${command.name} --help lists the options`;
  const unknown = /^unknown option "(-[^"=]*)/.exec(message)?.[1];
  if (unknown?.startsWith('--')) {
    const flags = [...specs, ...globalOptions].flatMap(({ flag, isBoolean }) =>
      isBoolean ? [`--${flag}`, `--no-${flag}`] : [`--${flag}`],
    );
    const close = didYouMean(unknown, [...flags, '--help']);
    if (close) hint = `did you mean ${close}?`;
  }
  return new PareError('usage', `${command.name}: ${message}`, { hint, cause: error });
}

async function keysOfAll(commands: readonly LightCommand[]): Promise<string[]> {
  const loaded = await loadAll(commands);
  return loaded.flatMap(({ options }) => Object.keys(options.shape));
}

/** In the form of the config file, so that it can be saved as one. */
function printConfig(
  command: Command,
  options: Readonly<Record<string, unknown>>,
  globals: GlobalValues,
  output: Output,
  file: string | undefined,
): void {
  const common = Object.fromEntries(configurableGlobals.map((key) => [key, globals[key]]));
  const config = { common, [command.name]: options };
  output.human(file === undefined ? 'no config file' : `with ${file}`);
  output.stdout(toJson(config));
  output.json({ file, config });
}
