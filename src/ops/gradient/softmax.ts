/**
 * Gradients of Softmax and LogSoftmax over one axis (opset 13 and later; older models, which
 * flatten behind the axis, are raised to it before they are differentiated), and of Hardmax's kin.
 */
import { type GradientTable, rule } from './rule.js';

export const softmaxGradients: GradientTable = Object.freeze({
  // p (dy - Σ p dy)
  Softmax: rule((g, node) => [
    () => {
      const [dy, p] = [g.grad(), g.output()];
      const mean = g.reduce('ReduceSum', g.mul(dy, p), [node.int('axis', -1)]);
      return g.mul(p, g.sub(dy, mean));
    },
  ]),
  // dy - p Σ dy
  LogSoftmax: rule((g, node) => [
    () => {
      const total = g.reduce('ReduceSum', g.grad(), [node.int('axis', -1)]);
      return g.sub(g.grad(), g.mul(g.op('Exp', [g.output()]), total));
    },
  ]),
});
