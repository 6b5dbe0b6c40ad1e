/**
 * A first look at the arguments: which command is meant, and the few flags that count before its
 * options are known. Light, since it runs at every start; commander parses the rest.
 */
import { PareError } from '../errors.js';
import { globalOptions } from './global-options.js';

export interface ScannedArgv {
  /** Undefined when none is named. */
  readonly command: string | undefined;
  /** Everything but the command's name, in order. */
  readonly rest: readonly string[];
  /** --help or -h, or the word `help` before the command. */
  readonly help: boolean;
  /** --version or -V before a command. */
  readonly version: boolean;
}

/**
 * Finds the command: the first word that is no flag and no value of a global flag.
 * Throws PareError `usage` for an unknown flag before it.
 */
export function scanArgv(argv: readonly string[]): ScannedArgv {
  let command: string | undefined;
  let help = false;
  let version = false;
  const rest: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') {
      rest.push(...argv.slice(i));
      break;
    }
    if (word === '--help' || word === '-h') {
      help = true;
    } else if (command !== undefined) {
      rest.push(word);
    } else if (!word.startsWith('-')) {
      if (word === 'help' && !help) help = true;
      else command = word;
    } else if (word === '--version' || word === '-V') {
      version = true;
    } else {
      rest.push(word);
      if (takesValue(word) && i + 1 < argv.length) rest.push(argv[++i]!);
    }
  }
  return { command, rest, help, version };
}

/** True for a global flag whose value is the next word. */
function takesValue(word: string): boolean {
  const [name] = word.split('=', 1);
  const spec = globalOptions.find(({ flag, short, isBoolean }) => {
    const names = isBoolean ? [`--${flag}`, `--no-${flag}`] : [`--${flag}`];
    return names.includes(name!) || (short !== undefined && `-${short}` === name);
  });
  if (!spec) {
    throw new PareError('usage', `unknown option ${word} before the name of the command`, {
      hint: 'the options of a command come after its name: pare optimize model.onnx --max-drop 0.5',
    });
  }
  return !spec.isBoolean && !word.includes('=');
}

/** The flags that decide how an error is shown, even when the arguments are wrong otherwise. */
export function reportingFlags(argv: readonly string[]) {
  const end = argv.indexOf('--');
  const words = end < 0 ? argv : argv.slice(0, end);
  const has = (...names: string[]) => names.some((name) => words.includes(name));
  return {
    json: has('--json'),
    quiet: has('--quiet', '-q'),
    verbose: has('--verbose', '-v'),
    color: has('--no-color') ? false : has('--color') ? true : undefined,
  };
}
