/**
 * MACs of recurrent layers: in each of the S steps, for each row of the batch, every element of
 * the input weights W and the recurrence weights R is multiplied once. Peepholes are element-wise
 * and not counted; sequence_lens may end a row earlier, which is not known before a run.
 */
import { elementCount } from '../onnx/data-type.js';
import type { OperatorCost } from './cost.js';

const recurrent: OperatorCost = {
  macs(_node, shapes) {
    // X is [S,B,I], or [B,S,I] with layout 1: the number of rows is the same. All gates and both
    // directions are in W and R, packed or not.
    const [x, w, r] = [shapes.input(0), shapes.input(1), shapes.input(2)];
    if (!x || !w || !r) return undefined;
    return elementCount(x.slice(0, 2)) * (elementCount(w) + elementCount(r));
  },
  traffic: 'all',
};

export const recurrentCosts: Readonly<Record<string, OperatorCost>> = Object.freeze({
  RNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
  'com.microsoft:DynamicQuantizeLSTM': recurrent,
});
