/**
 * Turns what ONNX Runtime throws into a PareError that a reader can act on: the paths of its own
 * sources, its status boilerplate and its repetitions removed, the node named, a hint added.
 */
import { PareError } from '../../errors.js';

/** The function after a source line of the runtime: a signature with its types, or only a name. */
const boilerplate: readonly RegExp[] = [
  /^Error: /,
  // onnxruntime-web's own frame around what the runtime says.
  /^(?:Can't create a session|failed to call Ort\w+\(\))\. ERROR_CODE: \d+, ERROR_MESSAGE: /,
  /\S*\/onnxruntime\/\S+\.(?:cc|h|cpp):\d+\s+(?:[^\s(]+\s+)*?[\w:~<>]+\([^)]*\)(?:\s+const)?\s*(?:\[[^\]]*\]\s*)?/g,
  /\b\w+\.(?:cc|h|cpp):\d+\s+\w+\s+/g,
  /Non-zero status code returned while /g,
  /Status Message: /g,
  /Exception caught: /g,
];

const hints: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [
    /is not a registered function\/op|No Op registered|Fatal error: .*is not a registered/i,
    'the runtime knows no such operator in that opset; check the domain and opset_import of the model',
  ],
  [
    /NOT_IMPLEMENTED|Could not find an implementation/i,
    'the runtime has no kernel for this operator with these types; cast to float around it',
  ],
  [/File doesn't exist|No such file/i, 'check the path; external data lies beside its model'],
  [
    /external (?:data|initializer)|External data path/i,
    'the file of external weights is missing, moved or too short; it lies beside its model',
  ],
  [
    /Protobuf parsing failed|Model data pointer is null/i,
    'the bytes are not an ONNX model, or only a part of one',
  ],
  [
    /Unsupported model IR version|Opset \d+ is under development/i,
    'the model is newer than the runtime; update onnxruntime',
  ],
  [/Got invalid dimensions|INVALID_ARGUMENT.*[Ss]hape/, 'compare the feeds with session.inputs'],
  [
    /Integer overflow/,
    'a tensor would be larger than the runtime can address (4 GiB in WASM); use a smaller batch',
  ],
  [
    /bad_alloc|Failed to allocate|out of memory/i,
    'not enough memory; use a smaller batch; WASM ends at 4 GiB, the target node does not',
  ],
  [/the session is released/, 'the session was released before; create another one'],
];

/**
 * @param label what was asked of the runtime, such as 'run'
 * @example
 * throw runtimeError('run', 'Non-zero status code returned while running Conv node. Name:"c1" ...');
 */
export function runtimeError(label: string, message: string): PareError {
  let text = message;
  for (const pattern of boilerplate) text = text.replace(pattern, '');
  text = text.replace(/\s+/g, ' ').trim();
  const node = /\bName:\s?'([^']+)'/.exec(text)?.[1];
  text = text.replace(/^running (\S+) node\. Name:\s?'[^']*'\s*/, '$1: ');
  const hint = hints.find(([pattern]) => pattern.test(message))?.[1];
  return new PareError('engine', `${label}: ${text || 'failed without a message'}`, {
    node,
    hint,
    cause: message === text ? undefined : message,
  });
}
