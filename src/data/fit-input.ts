/**
 * Whether the dims of one sample fit a model's input, and how the mismatch reads. No numbers.
 */
import type { PortInfo } from '../engine/engine.js';

type PortDims = readonly (number | string)[];

/**
 * The dims that the sample takes to fit, or undefined. First as one row of a batch; then the
 * same with dims of size 1 put in or taken out; then as the whole input, for models without a
 * batch dimension. A symbolic dim takes any size.
 *
 * @example
 * fitDims([28, 28], ['N', 1, 28, 28]); // [1, 28, 28]
 * fitDims([3, 30, 30], ['N', 3, 28, 28]); // undefined
 */
export function fitDims(dims: readonly number[], port: PortDims | undefined) {
  if (port === undefined) return dims;
  const row = port.slice(1);
  if (port.length > 0) {
    if (agrees(dims, row)) return dims;
    const squeezed = alignOnes(dims, row);
    if (squeezed) return squeezed;
  }
  return agrees(dims, port) ? dims : alignOnes(dims, port);
}

/** True when the sample is one row of the input, false when it is the whole input. */
export function isBatched(dims: readonly number[], port: PortDims | undefined): boolean {
  return port === undefined || dims.length + 1 === port.length;
}

/** True when the dims agree with the input, as a row of a batch or as the whole. */
export function fitsExactly(dims: readonly number[], port: PortDims | undefined): boolean {
  if (port === undefined) return true;
  return (port.length > 0 && agrees(dims, port.slice(1))) || agrees(dims, port);
}

function agrees(dims: readonly number[], wanted: PortDims): boolean {
  return (
    dims.length === wanted.length &&
    dims.every((dim, i) => typeof wanted[i] === 'string' || wanted[i] === dim)
  );
}

/** Only sizes of 1 differ: what is left on both sides agrees in order. */
function alignOnes(dims: readonly number[], wanted: PortDims): number[] | undefined {
  const rest = dims.filter((dim) => dim !== 1);
  const left = wanted.filter((dim) => dim !== 1);
  if (!agrees(rest, left)) return undefined;
  let next = 0;
  return wanted.map((dim) => (dim === 1 ? 1 : rest[next++]!));
}

/** @example describePort({ name: 'x', dataType: 'float', dims: ['N', 3] }) // '"x" float [N,3]' */
export function describePort({ name, dataType, dims }: PortInfo): string {
  const shape = dims ? `[${dims.map((dim) => (dim === '' ? '?' : dim)).join(',')}]` : '[?]';
  return `"${name}" ${dataType ?? 'of unknown type'} ${shape}`;
}
