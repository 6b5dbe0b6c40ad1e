/**
 * How far an output is from the reference's, pooled over all samples in constant memory: SNR,
 * cosine, largest error, and what is not finite. Compares numbers; knows nothing of tasks.
 */
import type { HostTensor } from '../engine/engine.js';
import { float32Of, sameShape } from '../engine/host-tensor.js';
import { PareError } from '../errors.js';
import { type DataType, dataTypes } from '../onnx/data-type.js';
import { type Rate, rate } from './statistics.js';

/** One output of a model over all samples. Plain JSON. */
export interface OutputMeasure {
  readonly output: string;
  readonly dataType: DataType;
  /** Elements of all samples together. */
  readonly elements: number;
  /** Elements that are NaN or infinite; 0 for integers. */
  readonly nan: number;
  readonly infinite: number;
  /** Against the reference; null for the reference itself and where there is none. */
  readonly agreement: OutputAgreement | null;
}

/** Plain JSON: a number that does not exist is null, never Infinity or NaN. */
export interface OutputAgreement {
  /** Every element equals that of the reference. */
  readonly exact: boolean;
  /**
   * Signal-to-noise ratio in dB, 10 * log10(sum ref^2 / sum (ref - x)^2). Null when it is
   * infinite (`exact` is true), when it is not defined (an element is finite in one model only, or
   * the reference is zero everywhere), and for integers, bool and strings. Compare it by `snrOf`.
   */
  readonly snrDb: number | null;
  /** sum(ref * x) / (|ref| * |x|), in [-1, 1]; null where one is all zero, and as for the SNR. */
  readonly cosine: number | null;
  /** Largest |ref - x| over elements that are finite in both; null for non-numbers. */
  readonly maxAbsError: number | null;
  /** Elements where one is finite and the other not, or both are not and differ. */
  readonly nonFiniteMismatches: number;
  /** Share of equal elements: the measure for integers, bool and strings; null for floats. */
  readonly equal: Rate | null;
}

/**
 * The SNR as a number to compare and sort by: Infinity when exact, -Infinity where it is not
 * defined. Integer outputs have none but are exact or not.
 *
 * @example if (snrOf(agreement) < minSnr) reject();
 */
export function snrOf(agreement: OutputAgreement): number {
  if (agreement.exact) return Number.POSITIVE_INFINITY;
  return agreement.snrDb ?? Number.NEGATIVE_INFINITY;
}

/**
 * The output that agrees least with the reference's: the one of the lowest SNR, and among outputs
 * without floats the first that is not exact. Undefined where nothing was compared.
 */
export function worstOutput(outputs: readonly OutputMeasure[]): OutputMeasure | undefined {
  const compared = outputs.filter(({ agreement }) => agreement !== null);
  const floats = compared.filter(({ agreement }) => agreement!.equal === null);
  // An integer output is exact or not, which says little next to the SNR of the floats.
  const candidates = floats.length > 0 ? floats : compared;
  return candidates.reduce<OutputMeasure | undefined>(
    (worst, each) => (worst && snrOf(worst.agreement!) <= snrOf(each.agreement!) ? worst : each),
    undefined,
  );
}

/** Accumulates one output of one model. */
export class OutputComparison {
  readonly #output: string;
  #dataType: DataType | undefined;
  #compared = false;
  #elements = 0;
  #nan = 0;
  #infinite = 0;
  #equal = 0;
  #mismatches = 0;
  #signal = 0;
  #noise = 0;
  #energy = 0;
  #product = 0;
  #maxError = 0;

  constructor(output: string) {
    this.#output = output;
  }

  /** Throws `data-mismatch` when the shapes differ, or one is of floats and the other is not. */
  add(tensor: HostTensor, reference?: HostTensor): void {
    this.#dataType ??= tensor.dataType;
    this.#elements += tensor.data.length;
    if (!reference) {
      if (isFloat(tensor)) this.#count(numbersOf(tensor));
      return;
    }
    this.#compared = true;
    if (!sameShape(tensor, reference) || kindOf(tensor) !== kindOf(reference)) {
      throw this.#mismatch(tensor, reference);
    }
    if (isFloat(tensor)) this.#addNumbers(numbersOf(tensor), numbersOf(reference));
    else this.#addEqual(tensor, reference);
  }

  result(): OutputMeasure {
    return {
      output: this.#output,
      dataType: this.#dataType ?? 'float',
      elements: this.#elements,
      nan: this.#nan,
      infinite: this.#infinite,
      agreement: this.#compared ? this.#agreement() : null,
    };
  }

  #agreement(): OutputAgreement {
    const isNumbers = dataTypes[this.#dataType!].kind === 'float';
    const exact = this.#equal === this.#elements;
    if (!isNumbers) {
      const equal = rate(this.#equal, this.#elements);
      const none = { snrDb: null, cosine: null, maxAbsError: null, nonFiniteMismatches: 0 };
      return { exact, ...none, equal };
    }
    const broken = this.#mismatches > 0;
    const hasSnr = !broken && this.#noise > 0 && this.#signal > 0;
    const norm = Math.sqrt(this.#signal) * Math.sqrt(this.#energy);
    const cosine = this.#product / norm;
    return {
      exact,
      snrDb: hasSnr ? 10 * Math.log10(this.#signal / this.#noise) : null,
      cosine: broken || !(norm > 0) ? null : exact ? 1 : Math.max(-1, Math.min(1, cosine)),
      maxAbsError: this.#maxError,
      nonFiniteMismatches: this.#mismatches,
      equal: null,
    };
  }

  #addNumbers(values: ArrayLike<number>, references: ArrayLike<number>): void {
    let [equal, signal, noise, energy, product, max] = [0, 0, 0, 0, 0, this.#maxError];
    for (let i = 0; i < values.length; i++) {
      const x = values[i]!;
      const ref = references[i]!;
      const difference = ref - x;
      // Also false where one of them is not finite: NaN, or Infinity - Infinity.
      if (Math.abs(difference) < Number.POSITIVE_INFINITY) {
        if (difference === 0) equal++;
        else if (Math.abs(difference) > max) max = Math.abs(difference);
        signal += ref * ref;
        noise += difference * difference;
        energy += x * x;
        product += ref * x;
      } else {
        if (Number.isNaN(x)) this.#nan++;
        else if (!Number.isFinite(x)) this.#infinite++;
        if (Object.is(x, ref)) equal++;
        else this.#mismatches++;
      }
    }
    this.#equal += equal;
    this.#signal += signal;
    this.#noise += noise;
    this.#energy += energy;
    this.#product += product;
    this.#maxError = max;
  }

  #addEqual(tensor: HostTensor, reference: HostTensor): void {
    const values = tensor.data;
    const references = reference.data;
    for (let i = 0; i < values.length; i++) {
      // biome-ignore lint/suspicious/noDoubleEquals: int32 and int64 hold 1 and 1n
      if (values[i]! == references[i]!) this.#equal++;
    }
  }

  #count(values: ArrayLike<number>): void {
    for (let i = 0; i < values.length; i++) {
      const x = values[i]!;
      if (Number.isNaN(x)) this.#nan++;
      else if (!Number.isFinite(x)) this.#infinite++;
    }
  }

  #mismatch(tensor: HostTensor, reference: HostTensor): PareError {
    return new PareError(
      'data-mismatch',
      `evaluate: the output is ${describe(tensor)}, that of the reference ${describe(reference)}`,
      { tensor: this.#output, hint: 'compare models with the same outputs' },
    );
  }
}

function describe({ dataType, dims }: HostTensor): string {
  return `${dataType}[${dims.join(',')}]`;
}

function isFloat({ dataType }: HostTensor): boolean {
  return dataTypes[dataType].kind === 'float';
}

/** Integers of all widths and bool compare with each other. */
function kindOf({ dataType }: HostTensor): 'float' | 'string' | 'whole' {
  const { kind } = dataTypes[dataType];
  return kind === 'float' || kind === 'string' ? kind : 'whole';
}

/** Elements of a float tensor as numbers; double keeps its precision. */
export function numbersOf(tensor: HostTensor): Float32Array | Float64Array {
  return tensor.data instanceof Float64Array ? tensor.data : float32Of(tensor);
}
