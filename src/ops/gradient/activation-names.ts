/**
 * Activations that recurrent and fused operators name in an attribute, with their parameters.
 * Source: the ONNX specification of RNN, GRU and LSTM.
 */
import { type Emitter, floats } from '../../graph/emitter.js';
import type { Value } from '../../graph/value.js';
import { NoGradient } from './rule.js';

type Activation = (e: Emitter, x: Value, alpha?: number, beta?: number) => Value;

const activations: Readonly<Record<string, Activation>> = Object.freeze({
  relu: (e, x) => e.op('Relu', [x]),
  tanh: (e, x) => e.op('Tanh', [x]),
  sigmoid: (e, x) => e.op('Sigmoid', [x]),
  softsign: (e, x) => e.op('Softsign', [x]),
  softplus: (e, x) => e.op('Softplus', [x]),
  affine: (e, x, alpha = 1, beta = 0) => e.add(e.mul(x, alpha), beta),
  leakyrelu: (e, x, alpha = 0.01) => e.op('LeakyRelu', [x], floats({ alpha })),
  thresholdedrelu: (e, x, alpha = 1) => e.op('ThresholdedRelu', [x], floats({ alpha })),
  scaledtanh: (e, x, alpha = 1, beta = 1) => e.mul(e.op('Tanh', [e.mul(x, beta)]), alpha),
  hardsigmoid: (e, x, alpha = 0.2, beta = 0.5) => e.op('HardSigmoid', [x], floats({ alpha, beta })),
  elu: (e, x, alpha = 1) => e.op('Elu', [x], floats({ alpha })),
  clip: (e, x, low, high) => e.op('Clip', [x, low, high]),
});

/** Applies the activation of this name; names are compared without case. */
export function activate(e: Emitter, name: string, x: Value, alpha?: number, beta?: number): Value {
  const write = activations[name.toLowerCase()];
  if (!write) throw new NoGradient(`the activation ${name}`);
  return write(e, x, alpha, beta);
}

/** How many of the listed parameters an activation takes. */
export function parametersOf(name: string): { readonly alpha: boolean; readonly beta: boolean } {
  const takesBoth = ['affine', 'scaledtanh', 'hardsigmoid'];
  const takesAlpha = ['leakyrelu', 'thresholdedrelu', 'elu', ...takesBoth];
  const lower = name.toLowerCase();
  return { alpha: takesAlpha.includes(lower), beta: takesBoth.includes(lower) };
}
