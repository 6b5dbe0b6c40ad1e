/**
 * What a command is: its names and texts, its options as a zod schema, and the function that runs
 * it. A command holds no logic: it calls the library and words the result.
 */
import type * as z from 'zod/mini';
import type { Progress } from '../progress.js';
import type { ExitCode } from './exit-codes.js';
import type { GlobalValues } from './global-options.js';
import type { Output } from './output.js';

/** All that `pare --help` needs to know; the rest is loaded when the command is named. */
export interface LightCommand {
  /** kebab-case, one word if possible. */
  readonly name: string;
  /** One sentence, lower-case, without a full stop. */
  readonly summary: string;
  /** A typical call, without 'pare', for the help of the program. */
  readonly example?: string | undefined;
  readonly load: () => Promise<Command>;
}

/** All commands in full. One after the other, so that an import that fails is named. */
export async function loadAll(commands: readonly LightCommand[]): Promise<Command[]> {
  const loaded: Command[] = [];
  for (const { load } of commands) loaded.push(await load());
  return loaded;
}

export interface ArgumentSpec {
  /** camelCase, the name in `context.args`; help shows it in capitals. */
  readonly name: string;
  readonly description: string;
  readonly optional?: boolean;
  /** Takes all that follow, at least one unless optional. Only for the last argument. */
  readonly variadic?: boolean;
}

export interface Example {
  /** Without 'pare'. */
  readonly command: string;
  /** What it is for, as a phrase. */
  readonly text: string;
}

export type ArgumentValues<Specs extends readonly ArgumentSpec[]> = {
  readonly [Spec in Specs[number] as Spec['name']]: Spec extends { readonly variadic: true }
    ? readonly string[]
    : Spec extends { readonly optional: true }
      ? string | undefined
      : string;
};

/** What a running command gets. */
export interface CommandContext<Options, Arguments> {
  readonly args: Arguments;
  readonly options: Options;
  /** The flags that every command takes. */
  readonly globals: GlobalValues;
  /** The working directory that relative paths refer to. */
  readonly cwd: string;
  /** The words after the command's name, as they were typed; absent for a command run by another. */
  readonly argv?: readonly string[] | undefined;
  /** Fires at the first Ctrl-C. Pass it on; clean up; throw or return. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  readonly output: Output;
}

export interface CommandDefinition<
  Schema extends z.ZodMiniObject = z.ZodMiniObject,
  Arguments extends readonly ArgumentSpec[] = readonly ArgumentSpec[],
> {
  readonly name: string;
  readonly summary: string;
  /** More than the summary, as paragraphs, for the command's help. */
  readonly description?: string | undefined;
  readonly arguments: Arguments;
  /**
   * Every field describes itself: `z.number().check(z.meta({ description, unit: 'points' }))`.
   * schema-info.ts lists what `z.meta` may say.
   */
  readonly options: Schema;
  readonly examples: readonly Example[];
  /** Returns nothing when all went well, or the exit code of a result that is no success. */
  run(
    context: CommandContext<z.output<Schema>, ArgumentValues<Arguments>>,
    // biome-ignore lint/suspicious/noConfusingVoidType: a command that just ends is the usual one
  ): Promise<ExitCode | void>;
}

/** A command whose options and arguments are no longer known to the type checker. */
export type Command = Omit<CommandDefinition, 'run'> & {
  // biome-ignore lint/suspicious/noConfusingVoidType: see CommandDefinition
  run(context: CommandContext<never, never>): Promise<ExitCode | void>;
};

/**
 * Defines a command, with the types of `args` and `options` derived from it. What it does is a
 * module of its own (the folder run/), which `run` imports, so that the command's help loads
 * neither the engine nor the data readers.
 *
 * @example
 * export const size = defineCommand({
 *   name: 'size',
 *   summary: 'show what the bytes of a model are spent on',
 *   arguments: [{ name: 'model', description: 'the ONNX file' }],
 *   options: z.object({ top: z._default(z.int().check(z.describe('rows to show')), 10) }),
 *   examples: [{ command: 'size resnet.onnx --top 5', text: 'the five largest weights' }],
 *   run: async (context) => (await import('../run/size.js')).run(context),
 * });
 */
export function defineCommand<
  Schema extends z.ZodMiniObject,
  const Arguments extends readonly ArgumentSpec[],
>(definition: CommandDefinition<Schema, Arguments>): Command {
  return Object.freeze(definition) as unknown as Command;
}
