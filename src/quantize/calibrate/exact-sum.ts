/**
 * A sum of float32 numbers without rounding, and so without an order. Every float32 is a whole
 * number of 2^-149, which a BigInt adds exactly; a few hundred numbers per value are added, so
 * that its speed does not matter.
 */
export class ExactSum {
  #units = 0n;

  /** @param value a finite float32 number */
  add(value: number, times = 1): void {
    this.#units += unitsOf(value) * BigInt(times);
  }

  /** The sum divided by a count, rounded once. */
  mean(count: number): number {
    // Below 2^300 for any count of samples, and a double reaches to 2^1023.
    return Number(this.#units) / count / 2 ** 149;
  }
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

function unitsOf(value: number): bigint {
  float[0] = value;
  const pattern = bits[0]!;
  const exponent = (pattern >>> 23) & 0xff;
  const fraction = pattern & 0x7fffff;
  const magnitude =
    exponent === 0 ? BigInt(fraction) : BigInt(fraction | 0x800000) << BigInt(exponent - 1);
  return pattern >>> 31 ? -magnitude : magnitude;
}
