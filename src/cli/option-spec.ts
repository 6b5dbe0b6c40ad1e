/**
 * One command-line option, whatever it was made from: a field of a zod schema (options.ts) or a
 * line of the table of global flags. Help, documentation and the parser see this and no schema,
 * so that `pare --help` starts without loading zod.
 */

export interface OptionSpec {
  /** camelCase name in code and config files. */
  readonly key: string;
  /** kebab-case name on the command line, without the dashes. */
  readonly flag: string;
  /** One letter, without the dash. */
  readonly short?: string | undefined;
  /** Takes no value; also understood as --no-FLAG. */
  readonly isBoolean: boolean;
  /** What stands for the value in help: N, FILE, a|b|c. Empty for a boolean. */
  readonly placeholder: string;
  readonly description: string;
  /** Undefined when there is none, or when it says nothing (false, an empty list). */
  readonly defaultText?: string | undefined;
  /** Values, where they do not fit into the placeholder. */
  readonly choices?: readonly string[] | undefined;
  /** Must be given, as a flag or in the config file. */
  readonly required: boolean;
  /** May be given several times. */
  readonly isList: boolean;
  /** Help shows --no-FLAG, because the default is true. */
  readonly isNegative: boolean;
  /** Understood, but not shown. */
  readonly hidden: boolean;
  /** The value that a text on the command line stands for. Throws PareError `usage`. */
  parse(text: string): unknown;
}

/** @example kebabCase('maxSNRDrop') // 'max-snr-drop' */
export function kebabCase(key: string): string {
  return key
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .toLowerCase();
}

/** The option as help shows it. @example '-o, --output FILE', '    --no-per-channel' */
export function flagsText(spec: OptionSpec, align = true): string {
  const short = spec.short ? `-${spec.short}, ` : align ? '    ' : '';
  const name = spec.isNegative ? `--no-${spec.flag}` : `--${spec.flag}`;
  return short + (spec.isBoolean ? name : `${name} ${spec.placeholder}`);
}

/** The remarks after the description. @example '(one of: a, b; default: a)' */
export function remarksText({ choices, defaultText, required, isList }: OptionSpec): string {
  const remarks: string[] = [];
  if (required) remarks.push('required');
  if (isList) remarks.push('repeat it or separate with commas');
  if (choices) remarks.push(`one of: ${choices.join(', ')}`);
  if (defaultText !== undefined) remarks.push(`default: ${defaultText}`);
  return remarks.length > 0 ? `(${remarks.join('; ')})` : '';
}
