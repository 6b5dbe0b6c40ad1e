/**
 * Weights that a text describes instead of listing: `normal(seed=1, std=0.1)`. For test models
 * and examples; the same text gives the same content on every machine.
 */
import { type DataType, dataTypes, elementCount } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom } from '../random.js';

export interface Generator {
  /** Parameters with their defaults. */
  readonly parameters: Readonly<Record<string, number>>;
  /** The numbers in order. */
  make(count: number, parameters: Readonly<Record<string, number>>): Float64Array;
}

export const generators: Readonly<Record<string, Generator>> = Object.freeze({
  /** Normal distribution. */
  normal: {
    parameters: { seed: 0, mean: 0, std: 1 },
    make(count, { seed, mean, std }) {
      const random = createRandom(seed!);
      return Float64Array.from({ length: count }, () => mean! + std! * random.normal());
    },
  },
  /** Uniform in [low, high). */
  uniform: {
    parameters: { seed: 0, low: 0, high: 1 },
    make(count, { seed, low, high }) {
      const random = createRandom(seed!);
      return Float64Array.from({ length: count }, () => low! + (high! - low!) * random.next());
    },
  },
  /** start, start + step, ... */
  range: {
    parameters: { start: 0, step: 1 },
    make: (count, { start, step }) =>
      Float64Array.from({ length: count }, (_, i) => start! + step! * i),
  },
  /** The same number everywhere. */
  fill: {
    parameters: { value: 0 },
    make: (count, { value }) => new Float64Array(count).fill(value!),
  },
});

/** Whether the numbers of a generator can be of this type. */
export function canGenerate(dataType: DataType): boolean {
  const { kind, bits } = dataTypes[dataType];
  return kind === 'float' ? bits >= 16 : kind !== 'string' && kind !== 'complex';
}

/** Integer types take the floor of each number, held inside the range of the type. */
export function generateTensor(
  dataType: DataType,
  dims: readonly number[],
  generator: Generator,
  parameters: Readonly<Record<string, number>>,
): Tensor {
  const numbers = generator.make(elementCount(dims), { ...generator.parameters, ...parameters });
  const { kind, bits } = dataTypes[dataType];
  if (kind === 'float') return Tensor.of(dataType, dims, Array.from(numbers));
  const highest = kind === 'bool' ? 1 : 2 ** (kind === 'signed' ? bits - 1 : bits) - 1;
  const lowest = kind === 'signed' ? -(2 ** (bits - 1)) : 0;
  // Above 2^53 the highest number itself is no double; one below it in doubles will do.
  const top = bits === 64 ? Number.MAX_SAFE_INTEGER : highest;
  const whole = Array.from(numbers, (value) => Math.min(top, Math.max(lowest, Math.floor(value))));
  return Tensor.of(dataType, dims, whole);
}
