/**
 * Reads the content of tensors from the textual form: literal elements `{0.5, 1}` and generated
 * ones `normal(seed=1)`. The counterpart of tensor-text.ts.
 */
import { byteLengthOf, type DataType, dataTypes, elementCount } from '../onnx/data-type.js';
import type { SparseTensorProto } from '../onnx/schema/onnx_pb.js';
import { bytesOf, Tensor } from '../onnx/tensor.js';
import { canGenerate, generateTensor, generators } from './generate-tensor.js';
import { parseType } from './parse-type.js';
import { isInteger, type Scanner } from './scanner.js';
import { sparseToProto } from './sparse.js';
import type { ValueType } from './value-type.js';

/** A text may describe more than it lists; this much is a slip of the hand, not a test model. */
const maxGenerated = 2 ** 28;

/** Whether the content of a tensor comes next. */
export function seesContent(scanner: Scanner): boolean {
  const token = scanner.peek();
  if (token.kind === 'word') return Object.hasOwn(generators, token.text) && scanner.sees('(', 1);
  return scanner.sees('{') || scanner.sees('[');
}

/** The content of a tensor of this type, which must be known completely. */
export function parseContent(scanner: Scanner, type: ValueType | undefined): Tensor {
  const token = scanner.peek();
  const dims = type?.kind === 'tensor' ? type.dims : undefined;
  if (type?.kind !== 'tensor' || !type.dataType || !dims?.every((d) => typeof d === 'number')) {
    return scanner.failAt(token.at, 'content needs an element type and dims that are all numbers');
  }
  if (token.kind === 'word') return parseGenerated(scanner, type.dataType, dims as number[]);
  if (scanner.sees('[')) {
    scanner.failAt(
      token.at,
      'external data has no place in a text',
      'load the model file itself, or list the elements',
    );
  }
  return parseLiteral(scanner, type.dataType, dims as number[]);
}

function parseLiteral(scanner: Scanner, dataType: DataType, dims: readonly number[]): Tensor {
  const { at } = scanner.peek();
  scanner.expect('{');
  if (scanner.sees('...')) {
    scanner.failAt(
      scanner.peek().at,
      'the content was left out of this text',
      "print with { weights: 'full' }",
    );
  }
  const read = elementReader(scanner, dataType);
  let found = 0;
  if (!scanner.sees('}')) {
    do {
      read.element();
      found++;
    } while (scanner.accepts(','));
  }
  scanner.expect('}');
  const expected = elementCount(dims) * (dataTypes[dataType].kind === 'complex' ? 2 : 1);
  if (found !== expected) {
    scanner.failAt(at, `${found} elements given, ${dataType}[${dims}] needs ${expected}`);
  }
  return read.finish(dims);
}

/** `{values, indices}` of a sparse tensor, both with their types: `{float[1] {2.5}, int64[1] {7}}`. */
export function parseSparse(
  scanner: Scanner,
  type: Extract<ValueType, { kind: 'tensor' | 'sparse-tensor' }>,
): SparseTensorProto {
  const { at } = scanner.peek();
  if (!type.dims?.every((dim) => typeof dim === 'number')) {
    return scanner.failAt(at, 'a sparse tensor needs dims that are all numbers');
  }
  scanner.expect('{');
  const values = parseContent(scanner, parseType(scanner));
  scanner.expect(',');
  const indices = parseContent(scanner, parseType(scanner));
  scanner.expect('}');
  if (values.dataType !== type.dataType) {
    scanner.failAt(at, `the values are ${values.dataType}, the tensor is ${type.dataType}`);
  }
  return sparseToProto({ dims: type.dims as number[], values, indices });
}

interface ElementReader {
  element(): void;
  finish(dims: readonly number[]): Tensor;
}

function elementReader(scanner: Scanner, dataType: DataType): ElementReader {
  const { kind, bits } = dataTypes[dataType];
  if (kind === 'string') return stringReader(scanner);
  if (kind === 'complex') {
    return floatReader(scanner, (values) => raw(dataType, bits === 64 ? 32 : 64, values));
  }
  if (kind === 'float' && bits >= 32) {
    return floatReader(scanner, (values) => raw(dataType, bits === 32 ? 32 : 64, values));
  }
  return integerReader(scanner, dataType);
}

function stringReader(scanner: Scanner): ElementReader {
  const strings: Uint8Array[] = [];
  return {
    element: () => strings.push(scanner.bytes('a string in quotes')),
    finish: (dims) => new Tensor('string', dims, { kind: 'strings', strings }),
  };
}

interface Floats {
  readonly values: number[];
  /** Bit patterns of NaNs by position. */
  readonly patterns: ReadonlyMap<number, bigint>;
}

function floatReader(
  scanner: Scanner,
  make: (floats: Floats) => (dims: readonly number[]) => Tensor,
): ElementReader {
  const values: number[] = [];
  const patterns = new Map<number, bigint>();
  return {
    element() {
      const text = scanner.numeral('a number');
      if (text.startsWith('nan(')) patterns.set(values.length, BigInt(text.slice(4, -1)));
      values.push(toNumber(text));
    },
    finish: (dims) => make({ values, patterns })(dims),
  };
}

function raw(dataType: DataType, bits: 32 | 64, { values, patterns }: Floats) {
  const array = bits === 32 ? Float32Array.from(values) : Float64Array.from(values);
  const bytes = bytesOf(array);
  const view = new DataView(bytes.buffer);
  for (const [index, pattern] of patterns) {
    if (bits === 32) view.setUint32(index * 4, Number(pattern & 0xffffffffn), true);
    else view.setBigUint64(index * 8, pattern, true);
  }
  return (dims: readonly number[]) => Tensor.raw(dataType, dims, bytes);
}

/** Whole numbers in the range of the type. For 16-bit floats they are bit patterns, as in ONNX. */
function integerReader(scanner: Scanner, dataType: DataType): ElementReader {
  const { kind, bits, array } = dataTypes[dataType];
  const highest = (1n << BigInt(kind === 'signed' ? bits - 1 : bits)) - 1n;
  const lowest = kind === 'signed' ? -highest - 1n : 0n;
  const wide = bits === 64;
  const values: (number | bigint)[] = [];
  return {
    element() {
      const token = scanner.peek();
      if (kind === 'float' && bits === 16 && !(token.kind === 'number' && isInteger(token.text))) {
        values.push(patternOf(dataType, toNumber(scanner.numeral('a number'))));
        return;
      }
      const value = scanner.integer(`a whole number of type ${dataType}`);
      if (value < lowest || value > highest) {
        scanner.failAt(token.at, `${value} is outside ${dataType}, ${lowest} to ${highest}`);
      }
      values.push(wide ? value : Number(value));
    },
    finish(dims) {
      const elements = new array!(values.length);
      values.forEach((value, i) => {
        (elements as Record<number, number | bigint>)[i] = value;
      });
      return Tensor.of(dataType, dims, elements);
    },
  };
}

/** The bits of a number in float16 or bfloat16. */
function patternOf(dataType: DataType, value: number): number {
  const { content } = Tensor.of(dataType, [], [value]);
  if (content.kind !== 'bytes') throw new TypeError('a new tensor holds bytes');
  return content.bytes[0]! | (content.bytes[1]! << 8);
}

function parseGenerated(scanner: Scanner, dataType: DataType, dims: readonly number[]): Tensor {
  const { at } = scanner.peek();
  const name = scanner.word('the name of a generator');
  const generator = generators[name]!;
  if (!canGenerate(dataType)) scanner.failAt(at, `${name}() makes no ${dataType}`);
  const count = elementCount(dims);
  if (count > maxGenerated || byteLengthOf(dataType, count) > 2 ** 30) {
    scanner.failAt(at, `${dataType}[${dims}] is more than ${maxGenerated} elements or 1 GiB`);
  }
  const parameters: Record<string, number> = {};
  scanner.expect('(');
  while (!scanner.sees(')')) {
    const token = scanner.peek();
    const known = Object.keys(generator.parameters).join(', ');
    const key = scanner.word(`a parameter of ${name}: ${known}`);
    if (!Object.hasOwn(generator.parameters, key))
      scanner.fail(`a parameter of ${name}: ${known}`, token);
    scanner.expect('=');
    parameters[key] = toNumber(scanner.numeral('a number'));
    if (!scanner.accepts(',')) break;
  }
  scanner.expect(')');
  return generateTensor(dataType, dims, generator, parameters);
}

/** The number that a numeral of the scanner means. */
export function toNumber(text: string): number {
  if (/^-?nan/i.test(text)) return Number.NaN;
  if (/^inf/i.test(text)) return Number.POSITIVE_INFINITY;
  return /^-inf/i.test(text) ? Number.NEGATIVE_INFINITY : Number(text);
}
