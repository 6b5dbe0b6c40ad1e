/**
 * Samples out of JSON lines: `{"input_ids": [1, 385], "label": 3}`, each key an array by the
 * name of a model input. Finds the lines once; parses one when it is asked for.
 */
import type { HostTensor, PortInfo } from '../engine/engine.js';
import { messageOf, PareError } from '../errors.js';
import type { ByteSource } from '../onnx/byte-source.js';
import { fingerprintSource } from './fingerprint.js';
import { nestedTensor } from './nested-tensor.js';
import { labelNames, type RawSample, type RawSource } from './raw-source.js';

const pieceBytes = 1 << 20;

interface Line {
  readonly start: number;
  readonly end: number;
  /** In the file, from 1. */
  readonly number: number;
}

/** Throws `invalid-data` with the line number, at the latest when a bad line is read. */
export async function jsonlSource(
  source: ByteSource,
  ports: readonly PortInfo[] | undefined,
): Promise<RawSource> {
  const lines = await findLines(source);
  const read = async (index: number) => parseLine(source, lines[index]!, ports);
  const first = lines.length > 0 ? await read(0) : undefined;
  return {
    name: source.name,
    size: lines.length,
    kind: 'array',
    hasLabels: first?.label !== undefined,
    notes: [],
    read,
    fingerprint: () => fingerprintSource(source),
  };
}

/** Byte ranges of the lines that hold something. A byte 10 is a newline anywhere in UTF-8. */
async function findLines(source: ByteSource): Promise<Line[]> {
  const lines: Line[] = [];
  let start = 0;
  let number = 1;
  let blank = true;
  const end = (at: number) => {
    if (!blank) lines.push({ start, end: at, number });
    start = at + 1;
    number++;
    blank = true;
  };
  for (let base = 0; base < source.byteLength; base += pieceBytes) {
    const piece = await source.slice(base, Math.min(source.byteLength, base + pieceBytes));
    for (let i = 0; i < piece.length; i++) {
      if (piece[i] === 10) end(base + i);
      else if (piece[i]! > 32) blank = false;
    }
  }
  end(source.byteLength);
  return lines;
}

async function parseLine(
  source: ByteSource,
  line: Line,
  ports: readonly PortInfo[] | undefined,
): Promise<RawSample> {
  const fail = (what: string, cause?: unknown) =>
    new PareError('invalid-data', `data: line ${line.number} of the JSONL ${what}`, {
      file: source.name,
      cause,
    });
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(await source.slice(line.start, line.end)));
  } catch (cause) {
    if (cause instanceof PareError) throw cause;
    throw fail(`is not valid JSON: ${messageOf(cause)}`, cause);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw fail('is not an object such as {"input_ids":[1,2]}');
  }
  const values: Record<string, HostTensor> = {};
  let label: number | undefined;
  for (const [key, value] of Object.entries(parsed)) {
    const isInput = ports?.some(({ name }) => name === key) ?? false;
    if (labelNames.includes(key) && !isInput && !Array.isArray(value)) {
      if (!Number.isInteger(value) || value < 0)
        throw fail(`has a "${key}" that is no class index`);
      label = value;
      continue;
    }
    // Text beside the tokens is common; it feeds nothing unless an input asks for it by name.
    if (!isInput && (typeof value === 'string' || value === null)) continue;
    const tensor = nestedTensor(value);
    if (!tensor) throw fail(`has a "${key}" that is no array of numbers of one shape`);
    values[key] = tensor;
  }
  if (Object.keys(values).length === 0) throw fail('has no array of numbers');
  return { id: `line ${line.number}`, values, label };
}
