/**
 * The gradient of a convolution's weight for two axes and stride 1. Tap (i, j) pairs dY[h, w] with
 * x[h + i - pad, w + j - pad]: all taps are products of x moved along one axis and dY moved along
 * the other one. Moves are of all places in their order, so that they copy whole planes.
 *
 * Where the batch is fixed, one Concat lays out all moves of x, with the zeros between them, and one
 * all moves of dY. The runtime's Concat runs on several threads, its Pad and Slice on one, and what
 * is padded would be copied once more: a step of ResNet-20 took 19 ms of Pad and 9 of Concat with two
 * threads and takes 3 and 14, 19 and 17 with one thread and takes 3 and 25.
 */
import type { Value } from '../../graph/value.js';
import { type ConvWeightParts, fixedPlane, tapProduct, widestJoint } from './conv-weight-parts.js';
import type { GradientEmitter } from './rule.js';
import { tapsOf } from './window.js';

/** For two axes of fixed dims. */
export function byShifts(g: GradientEmitter, parts: ConvWeightParts): Value {
  const room = roomOf(parts);
  return room === undefined ? byPieces(g, parts) : byRoom(g, parts, room);
}

/**
 * How long a row has to be that holds one move of x, or of dY, in `byRoom`. Undefined where that form
 * does not fit: x and dY have to be equally wide, so that one move is one distance, W for a row.
 *
 * Tap (i, j) pairs place p of dY with place p + (i d - pad) W + (j d - pad) of x. So row j of dY has
 * its content at j d, and row i of x at (pad - i d) W + pad, which may begin in the row before and
 * end in the next, as long as nothing else lies where dY is not zero: the row before has to end, and
 * the next to begin, outside of it.
 */
function roomOf({ weight, group, xShape, dyShape, window }: ConvWeightParts): number | undefined {
  const [outputs, channels, height, width] = weight as [number, number, number, number];
  const [from, to] = [fixedPlane(xShape, window)!, fixedPlane(dyShape, window)!];
  const isFixed = typeof dyShape.dims?.[0] === 'number';
  if (!isFixed || from[1] !== to[1]) return undefined;
  const across = from[1]!;
  const [seen, given] = [from[0]! * across, to[0]! * across];
  const narrower = Math.min(channels * height, (outputs * width) / group);
  if (narrower > widestJoint && (group > 1 || given < manyPlaces)) return undefined;
  const [down, right] = window.dilations as [number, number];
  const [above, before] = window.begins as [number, number];
  const reach = (height - 1) * down;
  const ends = [given + (width - 1) * right, seen + (above - reach) * across + before];
  const neighbours = [seen + Math.max(down, above) * across, given + (reach - above) * across];
  return Math.max(...ends, ...(height > 1 ? neighbours : []));
}

/**
 * Places from which on one product pays for any channels. ms of all of 3x3, 32 samples, one thread,
 * nine products / one: 64 to 64 channels of 16x16 4.38 / 4.80, of 28x28 14.3 / 13.2, 128 to 128 of
 * 28x28 47.5 / 42.8.
 */
const manyPlaces = 700;

/** One product of all moves of dY and all moves of x. */
function byRoom(g: GradientEmitter, parts: ConvWeightParts, room: number): Value {
  const { x, dy, xShape, dyShape, weight, group, window } = parts;
  const [outputs, channels, height, width] = weight as [number, number, number, number];
  const [seen, across] = fixedPlane(xShape, window) as [number, number];
  const [rows] = fixedPlane(dyShape, window) as [number];
  const [down, right] = window.dilations as [number, number];
  const [above, before] = window.begins as [number, number];
  const image = g.reshape(x, [0, channels * group, seen * across]);
  const given = g.reshape(dy, [0, outputs, rows * across]);
  const movesOfX = Array.from({ length: height }, (_, tap) => ({
    value: image,
    at: tap * room + (above - tap * down) * across + before,
  }));
  const movesOfDy = Array.from({ length: width }, (_, tap) => ({
    value: insideColumns(g, given, { rows, across, left: before - tap * right }),
    at: tap * (room + right),
  }));
  const batch = dyShape.dims![0] as number;
  const ofX = layOut(g, movesOfX, seen * across, [batch, channels * group, height * room]);
  const ofDy = layOut(g, movesOfDy, rows * across, [batch, outputs, width * room]);
  const product = tapProduct(
    g,
    { ...parts, weight: [outputs * width, channels * height], dy: ofDy },
    ofX,
  );
  return g.transpose(g.reshape(product, [outputs, width, channels, height]), [0, 2, 3, 1]);
}

/** Values of so many places where they belong on the last axis, in this order, zeros between them. */
function layOut(
  g: GradientEmitter,
  pieces: readonly { readonly value: Value; readonly at: number }[],
  places: number,
  [batch, channels, length]: readonly [number, number, number],
): Value {
  const zeros = (from: number, to: number) =>
    from < to ? [g.op('Expand', [g.scalar(0), g.ints(batch, channels, to - from)])] : [];
  const parts = pieces.flatMap(({ value, at }, index) => {
    const before = index === 0 ? 0 : pieces[index - 1]!.at + places;
    return [...zeros(before, at), value];
  });
  return g.concat([...parts, ...zeros(pieces.at(-1)!.at + places, length)], 2);
}

/** Moves one by one, joined where that pays. */
function byPieces(g: GradientEmitter, parts: ConvWeightParts): Value {
  const { weight, group, xShape, dyShape, window } = parts;
  const [outputs, channels, height, width] = weight as [number, number, number, number];
  const isAsWide = fixedPlane(xShape, window)![1] === fixedPlane(dyShape, window)![1];
  const { ofX, ofDy, axis } = isAsWide ? moveRowsOfX(g, parts) : moveColumnsOfX(g, parts);
  // The size of the kernel along the axis on which x moves, and along the other.
  const [own, other] = axis === 0 ? [height, width] : [width, height];
  // From [taps of dY, outputs, taps of x, channels] to [outputs, channels, height, width].
  const order = axis === 0 ? [1, 3, 2, 0] : [1, 3, 0, 2];
  // Few channels make small products: one over all taps of x is worth the copy, and one over all
  // taps of dY too. ms of all products of 3x3, 128 samples, one thread, three / one: 16 to 16
  // channels of 32x32 15.0 / 10.2, 32 to 32 of 16x16 15.1 / 8.4, 64 to 64 of 8x8 10.3 / 12.5.
  const isJoined = group === 1 && channels * own <= widestJoint;
  if (!isJoined) {
    const taps = tapsOf([height, width]);
    const products = taps.map((tap) => {
      const product = tapProduct(g, { ...parts, dy: ofDy[tap[1 - axis]!]! }, ofX[tap[axis]!]!);
      return g.reshape(product, [outputs, channels, 1]);
    });
    return g.reshape(g.concat(products, 2), weight);
  }
  const joined = g.concat(ofX, 1);
  const product = (dy: Value, rows: number) =>
    tapProduct(g, { ...parts, weight: [rows, channels * own], dy }, joined);
  if (outputs * other <= widestJoint) {
    const all = product(g.concat(ofDy, 1), outputs * other);
    return g.transpose(g.reshape(all, [other, outputs, own, channels]), order);
  }
  const products = ofDy.map((dy) => g.reshape(product(dy, outputs), [1, outputs, own, channels]));
  return g.transpose(g.concat(products, 0), order);
}

interface Moved {
  /** By the position in the kernel along `axis`, and along the other one; the spatial dims alike. */
  readonly ofX: readonly Value[];
  readonly ofDy: readonly Value[];
  /** Of the kernel: 0 for its rows. */
  readonly axis: 0 | 1;
}

/**
 * Where x and dY are equally wide every move is one of all places in their order, whatever the row,
 * and copies whole planes. What dY would take along into the next row is zero before it moves. Rows
 * copied one by one cost more: ms of a Pad for 128 samples, as here / by rows, 16 channels of 32x32
 * 0.55 / 0.66, 64 of 8x8 0.09 / 0.59.
 */
function moveRowsOfX(
  g: GradientEmitter,
  { x, dy, xShape, dyShape, weight, group, window }: ConvWeightParts,
): Moved {
  const { kernel, dilations, begins } = window;
  const [height, width] = fixedPlane(xShape, window) as [number, number];
  const [rows] = fixedPlane(dyShape, window) as [number];
  const flatX = g.reshape(x, [0, weight[1]! * group, height * width]);
  const flatDy = g.reshape(dy, [0, weight[0]!, rows * width]);
  const ofX = Array.from({ length: kernel[0]! }, (_, tap) => {
    const down = begins[0]! - tap * dilations[0]!;
    return padLast(g, flatX, 3, [down * width, (rows - height - down) * width]);
  });
  const ofDy = Array.from({ length: kernel[1]! }, (_, tap) => {
    const left = begins[1]! - tap * dilations[1]!;
    if (left === 0) return flatDy;
    const inside = insideColumns(g, flatDy, { rows, across: width, left });
    return padLast(g, inside, 3, [-left, left]);
  });
  return { ofX, ofDy, axis: 0 };
}

/** dY [N, M, rows * across] where a move by so many columns stays in its row, zero elsewhere. */
function insideColumns(
  g: GradientEmitter,
  dy: Value,
  { rows, across, left }: { readonly rows: number; readonly across: number; readonly left: number },
): Value {
  if (left === 0) return dy;
  const mask = Array.from({ length: rows * across }, (_, place) => {
    const column = (place % across) - left;
    return Number(column >= 0 && column < across);
  });
  return g.mul(dy, g.constant(g.type, [rows * across], mask));
}

/** dY moved down into the rows of x by whole rows, and x moved into the columns of dY. */
function moveColumnsOfX(
  g: GradientEmitter,
  { x, dy, xShape, dyShape, weight, window }: ConvWeightParts,
): Moved {
  const { kernel, dilations, begins } = window;
  const [height, width] = fixedPlane(xShape, window) as [number, number];
  const [rows, columns] = fixedPlane(dyShape, window) as [number, number];
  const flatDy = g.reshape(dy, [0, weight[0]!, rows * columns]);
  const ofDy = Array.from({ length: kernel[0]! }, (_, tap) => {
    const down = tap * dilations[0]! - begins[0]!;
    return padLast(g, flatDy, 3, [down * columns, (height - rows - down) * columns]);
  });
  const ofX = Array.from({ length: kernel[1]! }, (_, tap) => {
    const right = begins[1]! - tap * dilations[1]!;
    return padLast(g, x, 4, [right, columns - width - right]);
  });
  return { ofX, ofDy, axis: 1 };
}

/** Zeros at both ends of the last axis of so many; what is negative is cut off. */
function padLast(
  g: GradientEmitter,
  value: Value,
  rank: number,
  [before, after]: readonly [number, number],
): Value {
  if (before === 0 && after === 0) return value;
  const others = Array(rank - 1).fill(0);
  return g.op('Pad', [value, g.ints(...others, before, ...others, after)]);
}
