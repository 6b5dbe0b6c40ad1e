/**
 * Looks through the numbers of one constant for what breaks or slows down a model. One pass over
 * the elements; keeps nothing.
 */
import { type DataType, dataTypes } from '../onnx/data-type.js';
import { type Tensor, toFloat32 } from '../onnx/tensor.js';

export interface TensorNumbers {
  readonly nan: number;
  readonly infinite: number;
  /** Not zero, but below the smallest normal number of the type: slow on some processors. */
  readonly denormal: number;
  /** Finite, but infinite once converted to float16. */
  readonly beyondFloat16: number;
  /** Largest finite magnitude. */
  readonly largest: number;
  /** Index of the first NaN or infinite element; -1 for none. */
  readonly firstBad: number;
}

/** From this magnitude on a number rounds to infinity in float16 (IEEE 754 binary16: max 65504). */
export const float16Limit = 65520;

/** Smallest normal number, where denormals matter: float16 weights are used widened. */
const smallestNormal: Partial<Record<DataType, number>> = {
  float: 2 ** -126,
  bfloat16: 2 ** -126,
  double: 2 ** -1022,
};

/** Undefined for types without such numbers: integers, bool, strings, complex. */
export async function checkNumbers(tensor: Tensor): Promise<TensorNumbers | undefined> {
  const { dataType } = tensor;
  if (dataTypes[dataType].kind !== 'float') return undefined;
  const array = await tensor.array();
  const values = array instanceof Float64Array ? array : toFloat32(dataType, array);
  const normal = smallestNormal[dataType] ?? 0;
  let [nan, infinite, denormal, beyondFloat16, largest, firstBad] = [0, 0, 0, 0, 0, -1];
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i]!);
    if (magnitude < float16Limit) {
      if (magnitude > largest) largest = magnitude;
      if (magnitude < normal && magnitude !== 0) denormal++;
    } else if (magnitude < Number.POSITIVE_INFINITY) {
      if (magnitude > largest) largest = magnitude;
      beyondFloat16++;
    } else {
      if (firstBad < 0) firstBad = i;
      if (Number.isNaN(magnitude)) nan++;
      else infinite++;
    }
  }
  return { nan, infinite, denormal, beyondFloat16, largest, firstBad };
}
