/**
 * Constants of two models side by side: which are new, gone or changed, and how far the numbers of
 * the changed ones are apart, also where one model stores them quantized.
 */
import { throwIfAborted } from '../errors.js';
import { fingerprint, firstDifference } from '../graph/content.js';
import type { Model } from '../graph/model.js';
import { dimsText } from '../graph/type-text.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';
import { type FloatConstant, transpose } from '../ops/constant-views.js';
import type { NodeMatch } from './match-nodes.js';
import { placeOf } from './operator-rows.js';
import { type Constant, constantsOf } from './size.js';
import { storedWeight } from './stored-weight.js';

/** Plain JSON. */
export interface WeightRef {
  readonly name: string;
  /** As in the textual form: 'float[64,3,7,7]'. */
  readonly type: string;
  readonly bytes: number;
}

/** How far the numbers are apart. Plain JSON: what does not exist is null. */
export interface WeightError {
  /** 10 * log10(sum a^2 / sum (a - b)^2); null when all are equal, or one is not finite. */
  readonly snrDb: number | null;
  /** Over elements that are finite in both. */
  readonly maxAbsError: number;
  /** The largest error as a share of the largest magnitude in `a`; null when that is zero. */
  readonly maxRelativeError: number | null;
  /** Elements that are not equal. */
  readonly different: number;
  /** Shares of zeros. */
  readonly sparsityA: number;
  readonly sparsityB: number;
}

/** Plain JSON. */
export interface WeightChange {
  readonly a: WeightRef;
  readonly b: WeightRef;
  /** The node that takes both, for those that were found by their use and not by their name. */
  readonly node: string | null;
  /** Null where the numbers do not compare: other dims, strings, a form that is not known. */
  readonly error: WeightError | null;
}

/** Plain JSON. */
export interface WeightDiff {
  readonly unchanged: number;
  /** The same content under another name. */
  readonly renamed: readonly { readonly a: string; readonly b: string }[];
  /** Largest error first: lowest SNR, then those that do not compare. */
  readonly changed: readonly WeightChange[];
  readonly removed: readonly WeightRef[];
  readonly added: readonly WeightRef[];
}

export async function diffWeights(
  a: Model,
  b: Model,
  match: NodeMatch,
  signal?: AbortSignal,
): Promise<WeightDiff> {
  const [left, right] = [constantsByName(a), constantsByName(b)];
  const changed: WeightChange[] = [];
  let unchanged = 0;
  for (const [key, one] of left) {
    const other = right.get(key);
    if (!other) continue;
    throwIfAborted(signal);
    left.delete(key);
    right.delete(key);
    if (await isSame(one.tensor, other.tensor)) unchanged++;
    else
      changed.push({
        a: refOf(one),
        b: refOf(other),
        node: null,
        error: await errorOf(one, other),
      });
  }
  const renamed = await pairRenamed(left, right);
  const gone = new Map([...left.values()].map((constant) => [constant.value, constant]));
  for (const change of await byUse(match, gone, signal)) changed.push(change);
  const order = ({ error }: WeightChange) => error?.snrDb ?? (error ? 1e9 : 1e10);
  return {
    unchanged,
    renamed,
    changed: changed.sort((x, y) => order(x) - order(y)),
    removed: [...gone.values()].map(refOf),
    added: [...right.values()].map(refOf),
  };
}

function constantsByName(model: Model): Map<string, Constant> {
  const found = new Map<string, Constant>();
  for (const constant of constantsOf(model)) {
    const { graph, name } = constant.value;
    const first = graph.nodes.first;
    found.set(`${(first && placeOf(first)) ?? ''}\n${name}`, constant);
  }
  return found;
}

function refOf({ value, tensor, bytes }: Constant): WeightRef {
  return { name: value.name, type: `${tensor.dataType}${dimsText(tensor.dims)}`, bytes };
}

async function isSame(a: Tensor, b: Tensor): Promise<boolean> {
  const sameType = a.dataType === b.dataType && dimsText(a.dims) === dimsText(b.dims);
  return sameType && (await firstDifference(a, b)) === undefined;
}

/** Takes pairs of equal content out of both maps. */
async function pairRenamed(left: Map<string, Constant>, right: Map<string, Constant>) {
  const shapeOf = ({ tensor }: Constant) => `${tensor.dataType}${dimsText(tensor.dims)}`;
  const shapes = new Set([...left.values()].map(shapeOf));
  const byContent = new Map<string, string[]>();
  for (const [key, constant] of right) {
    if (!shapes.has(shapeOf(constant))) continue;
    const content = `${shapeOf(constant)} ${await fingerprint(constant.tensor)}`;
    byContent.set(content, [...(byContent.get(content) ?? []), key]);
  }
  const renamed: { a: string; b: string }[] = [];
  if (byContent.size === 0) return renamed;
  for (const [key, constant] of [...left]) {
    const keys = byContent.get(`${shapeOf(constant)} ${await fingerprint(constant.tensor)}`);
    const other = keys?.[0];
    if (other === undefined) continue;
    const partner = right.get(other)!;
    if (!(await isSame(constant.tensor, partner.tensor))) continue;
    keys!.shift();
    left.delete(key);
    right.delete(other);
    renamed.push({ a: constant.value.name, b: partner.value.name });
  }
  return renamed;
}

/** Weights that matched nodes take from another constant than before. Takes them out of `gone`. */
async function byUse(
  { pairs }: NodeMatch,
  gone: Map<Value, Constant>,
  signal: AbortSignal | undefined,
): Promise<WeightChange[]> {
  const changes: WeightChange[] = [];
  const done = new Set<Value>();
  for (const { a, b } of pairs) {
    for (const [at, value] of a.inputs.entries()) {
      const other = b.inputs[at];
      const constant = value && gone.get(value);
      if (!constant || !other || done.has(value)) continue;
      const [one, two] = [await storedWeight(value), await storedWeight(other)];
      if (!one || !two) continue;
      throwIfAborted(signal);
      const error = await compareTurned(one, two);
      if (!error) continue;
      done.add(value);
      changes.push({ a: refOf(constant), b: behind(other), node: a.label, error });
    }
  }
  for (const value of done) gone.delete(value);
  return changes;
}

/** Below this two weights have nothing to do with each other, or one is transposed. */
const relatedDb = 3;

/**
 * Compares as they are, and transposed where that is closer: a rewrite may store a matrix the
 * other way round. Undefined when the dims fit neither way.
 */
async function compareTurned(a: FloatConstant, b: FloatConstant): Promise<WeightError | undefined> {
  const [x, y] = [await a.read(), await b.read()];
  const fits = dimsText(a.dims) === dimsText(b.dims);
  const direct = fits ? compare(x, y) : undefined;
  const turns = a.dims.length === 2 && dimsText(a.dims) === dimsText([...b.dims].reverse());
  const isClose = direct && (direct.different === 0 || (direct.snrDb ?? 0) >= relatedDb);
  if (!turns || isClose) return direct;
  const turned = compare(x, transpose(y, b.dims, [1, 0]));
  return direct && (direct.snrDb ?? 0) >= (turned.snrDb ?? Number.POSITIVE_INFINITY)
    ? direct
    : turned;
}

/** The constant that a value comes from: the largest one behind it. */
function behind(value: Value): WeightRef {
  const tensor = value.initializer ?? value.producer?.tensorAttribute('value');
  if (tensor) return refOf({ value, tensor, bytes: tensor.byteLength });
  const inner = value.producer!.inputs.flatMap((input) => (input ? [behindOr(input)] : []));
  const known = inner.filter((ref) => ref !== undefined);
  return known.reduce((x, y) => (y.bytes > x.bytes ? y : x));
}

function behindOr(value: Value): WeightRef | undefined {
  return value.initializer || value.producer ? behind(value) : undefined;
}

async function errorOf(a: Constant, b: Constant): Promise<WeightError | null> {
  if (dimsText(a.tensor.dims) !== dimsText(b.tensor.dims)) return null;
  const isNumeric = ({ tensor }: Constant) =>
    ['float', 'signed', 'unsigned', 'bool'].includes(dataTypes[tensor.dataType].kind);
  const isFloat = ({ tensor }: Constant) => dataTypes[tensor.dataType].kind === 'float';
  // Integers against floats would compare codes with values.
  if (!isNumeric(a) || !isNumeric(b) || isFloat(a) !== isFloat(b)) return null;
  return compare(await a.tensor.floats(), await b.tensor.floats());
}

/** Both of the same length. */
export function compare(a: ArrayLike<number>, b: ArrayLike<number>): WeightError {
  let [signal, noise, max, largest, different, zerosA, zerosB] = [0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    const difference = Math.abs(x - y);
    if (x === 0) zerosA++;
    if (y === 0) zerosB++;
    if (!Object.is(x, y) && difference !== 0) different++;
    signal += x * x;
    noise += difference * difference;
    if (difference > max && difference < Number.POSITIVE_INFINITY) max = difference;
    if (x > largest) largest = x;
    else if (-x > largest) largest = -x;
  }
  const snrDb = 10 * Math.log10(signal / noise);
  return {
    snrDb: Number.isFinite(snrDb) ? snrDb : null,
    maxAbsError: max,
    maxRelativeError: largest > 0 && Number.isFinite(largest) ? max / largest : null,
    different,
    sparsityA: a.length > 0 ? zerosA / a.length : 0,
    sparsityB: a.length > 0 ? zerosB / a.length : 0,
  };
}
