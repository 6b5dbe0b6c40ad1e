/** Reads types of values from the textual form; the counterpart of type-text.ts. */
import { type DataType, dataTypes } from '../onnx/data-type.js';
import type { Scanner } from './scanner.js';
import { typeWords } from './text-literals.js';
import type { Dim, ValueType } from './value-type.js';

/** Types inside types: deeper ones are refused before they can fill the stack. */
const maxDepth = 64;

/** Whether a type comes next. A type's name may also be that of a value: then nothing follows it. */
export function seesType(scanner: Scanner): boolean {
  const token = scanner.peek();
  if (token.kind !== 'word' || !typeWords.has(token.text)) return false;
  const after = scanner.peek(1);
  if (after.kind === 'word' || after.kind === 'string') return true;
  return after.kind === 'symbol' && ['[', '(', '{'].includes(after.text);
}

/** Undefined for `unknown`, a type that is not given. */
export function parseType(scanner: Scanner, depth = 0): ValueType | undefined {
  const token = scanner.peek();
  const word = scanner.word('a type such as float[N,3]');
  if (depth > maxDepth) scanner.failAt(token.at, `types are nested deeper than ${maxDepth}`);
  if (word === 'unknown') return undefined;
  if (word === 'undefined' || Object.hasOwn(dataTypes, word)) {
    return { kind: 'tensor', dataType: elementType(word), dims: parseDims(scanner) };
  }
  if (!typeWords.has(word)) scanner.fail('a type such as float[N,3]', token);
  scanner.expect('(');
  const type = parseContainer(scanner, word, depth);
  scanner.expect(')');
  return type;
}

function parseContainer(scanner: Scanner, word: string, depth: number): ValueType {
  switch (word) {
    case 'seq':
      return { kind: 'sequence', element: parseType(scanner, depth + 1) };
    case 'optional':
      return { kind: 'optional', element: parseType(scanner, depth + 1) };
    case 'map': {
      const key = parseElementType(scanner);
      scanner.expect(',');
      return { kind: 'map', key, value: parseType(scanner, depth + 1) };
    }
    case 'sparse_tensor':
      return {
        kind: 'sparse-tensor',
        dataType: parseElementType(scanner),
        dims: parseDims(scanner),
      };
    default:
      return parseOpaque(scanner);
  }
}

function parseElementType(scanner: Scanner): DataType | undefined {
  const token = scanner.peek();
  const word = scanner.word('an element type such as float');
  if (word !== 'undefined' && !Object.hasOwn(dataTypes, word)) {
    scanner.fail('an element type such as float', token);
  }
  return elementType(word);
}

function elementType(word: string): DataType | undefined {
  return word === 'undefined' ? undefined : (word as DataType);
}

/** No brackets: a scalar. Empty brackets: the rank is unknown. */
function parseDims(scanner: Scanner): Dim[] | undefined {
  if (!scanner.accepts('[')) return [];
  if (scanner.accepts(']')) return undefined;
  const dims: Dim[] = [];
  do dims.push(parseDim(scanner));
  while (scanner.accepts(','));
  scanner.expect(']');
  return dims;
}

function parseDim(scanner: Scanner): Dim {
  if (scanner.accepts('?')) return undefined;
  const token = scanner.peek();
  if (token.kind !== 'number') return scanner.name('a dimension: a number, a name or ?');
  const dim = Number(scanner.integer('a dimension: a whole number, a name or ?'));
  if (!Number.isSafeInteger(dim)) scanner.fail('a dimension below 2^53', token);
  // Some files hold -1 for a dimension that is not known, and so do texts made of them.
  return dim < 0 ? undefined : dim;
}

function parseOpaque(scanner: Scanner): ValueType {
  if (scanner.sees(')')) return { kind: 'opaque', domain: '', name: '' };
  const first = parseQualified(scanner);
  if (!scanner.accepts(',')) return { kind: 'opaque', domain: '', name: first };
  return { kind: 'opaque', domain: first, name: scanner.sees(')') ? '' : parseQualified(scanner) };
}

function parseQualified(scanner: Scanner): string {
  const parts = [scanner.name('a name')];
  while (scanner.accepts('.')) parts.push(scanner.name('a name'));
  return parts.join('.');
}
