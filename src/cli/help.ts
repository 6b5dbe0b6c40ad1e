/**
 * The texts of --help: examples first, then what there is. Imports no schema.
 */
import type { Style } from '../report/style.js';
import { displayWidth, pad, wrap } from '../report/text.js';
import type { ArgumentSpec, Command, LightCommand } from './command.js';
import { exitCodeMeanings } from './exit-codes.js';
import { globalOptions } from './global-options.js';
import { flagsText, type OptionSpec, remarksText } from './option-spec.js';
import type { Terminal } from './terminal.js';

const tagline =
  'pare makes trained ONNX models smaller and faster, measured on the runtime you ship.';
/** Help is easier to read in short lines, and must not depend on the width of a pipe. */
const widest = 100;
/** Longer flags get a line of their own. */
const longestTerm = 34;

type Row = readonly [term: string, text: string];

/** `pare --help`: reads names, summaries and examples only. */
export function programHelp(commands: readonly LightCommand[], terminal: Terminal): string {
  const examples = commands.flatMap(({ example }) => (example ? [`pare ${example}`] : []));
  return layout(terminal, [
    [undefined, [tagline]],
    ['Examples', examples],
    ['Usage', ['pare COMMAND [options]', 'pare COMMAND --help']],
    ['Commands', commands.map(({ name, summary }): Row => [name, summary])],
    ['Options of every command', globalOptions.map(optionRow)],
    ['Other', [['-h, --help', 'this text, or that of a command'] as Row, versionRow]],
    ['Exit codes', exitCodeMeanings.map(([code, meaning]): Row => [String(code), meaning])],
  ]);
}

/** `pare COMMAND --help`. */
export function commandHelp(
  command: Command,
  specs: readonly OptionSpec[],
  terminal: Terminal,
): string {
  const visible = specs.filter(({ hidden }) => !hidden);
  return layout(terminal, [
    [undefined, [`${command.summary}.`, ...(command.description?.split('\n\n') ?? [])]],
    ['Examples', command.examples.map(({ command: call, text }): Row => [`pare ${call}`, text])],
    ['Usage', [usageLine(command, visible)]],
    ['Arguments', command.arguments.map((spec): Row => [argumentName(spec), spec.description])],
    ['Options', visible.map(optionRow)],
    ['Options of every command', globalOptions.map(optionRow)],
  ]);
}

/** @example 'pare optimize MODEL --data PATH [options]' */
export function usageLine(command: Command, specs: readonly OptionSpec[]): string {
  const required = specs.filter((spec) => spec.required).map((spec) => flagsText(spec, false));
  return [
    'pare',
    command.name,
    ...command.arguments.map(argumentText),
    ...required,
    '[options]',
  ].join(' ');
}

export function argumentName({ name }: ArgumentSpec): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toUpperCase();
}

function argumentText(spec: ArgumentSpec): string {
  const text = argumentName(spec) + (spec.variadic ? '...' : '');
  return spec.optional ? `[${text}]` : text;
}

const versionRow: Row = ['-V, --version', 'the version of pare'];

function optionRow(spec: OptionSpec): Row {
  return [flagsText(spec), `${spec.description} ${remarksText(spec)}`.trim()];
}

type Section = readonly [title: string | undefined, lines: readonly (string | Row)[]];

function layout({ style, width }: Terminal, sections: readonly Section[]): string {
  const columns = Math.min(width ?? widest, widest);
  return sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) =>
      title === undefined
        ? lines.flatMap((line) => wrap(String(line), columns)).join('\n')
        : [style.paint('strong', `${title}:`), ...rows(lines, columns, style)].join('\n'),
    )
    .join('\n\n');
}

function rows(lines: readonly (string | Row)[], columns: number, style: Style): string[] {
  const terms = lines.flatMap((line) => (typeof line === 'string' ? [] : [displayWidth(line[0])]));
  const indent = Math.min(longestTerm, Math.max(0, ...terms)) + 4;
  return lines.flatMap((line) => {
    if (typeof line === 'string') return [`  ${line}`];
    const [term, text] = line;
    const wrapped = wrap(text, Math.max(20, columns - indent));
    const shown = style.paint('accent', term);
    const room = displayWidth(term) <= longestTerm;
    const head = room ? [`  ${pad(shown, indent - 2)}${wrapped.shift() ?? ''}`] : [`  ${shown}`];
    return [...head, ...wrapped.map((more) => ' '.repeat(indent) + more)].map((row) =>
      row.trimEnd(),
    );
  });
}
