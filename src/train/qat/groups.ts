/**
 * How fast the numbers of a quantized student move. Everything moves in shares of itself: a weight
 * by shares of the root mean square of its channel, a bias by shares of that of all biases beside
 * it, a scale by shares of itself. With norms folded into the weights, as before quantization,
 * magnitudes differ by orders between layers (0.005 to 1.2 in a ResNet-8 that takes bytes), and one
 * rate for all of them is too high for some and too low for others.
 */
import type { HostTensor } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
import { elementCount } from '../../onnx/data-type.js';
import { codeRange } from '../../quantize/integers.js';
import { forEachRun, type ScaleLayout } from '../../quantize/kernels.js';
import type { ParameterGroup } from '../step.js';
import type { TrainableForm } from './form.js';

/** A quantized student starts close to where it ends: a fifth of the steps of a float one. */
const pace = 0.2;

/**
 * By the name of each tensor of the form that is trained.
 * @param parameters names of those that are floats in the file too
 */
export async function parameterGroups(
  form: TrainableForm,
  parameters: readonly string[],
  scaleRate: number,
): Promise<ReadonlyMap<string, ParameterGroup>> {
  const { floats, factors, model, sites } = form;
  const groups = new Map<string, ParameterGroup>();
  const layouts = new Map<string, ScaleLayout>(
    sites.weights.map(({ codes, layout: { dims, axis } }) => [floats.get(codes)!, { dims, axis }]),
  );
  for (const name of [...floats.values(), ...parameters]) {
    const { initializer } = model.graph.value(name);
    const layout = layouts.get(name) ?? { dims: initializer!.dims };
    const unit = magnitudes(await initializer!.floats(), layout);
    // The step is that of a tensor in units of the magnitude, with its gradient in these too.
    groups.set(name, { rate: timesPace(unit), gradientFactors: unit });
  }
  for (const [scale, factor] of factors) {
    groups.set(factor, {
      rate: hostTensor('float', [], Float32Array.of(pace * scaleRate)),
      gradientFactors: hostTensor('float', [], Float32Array.of(gradientFactor(form, scale))),
      decays: false,
    });
  }
  return groups;
}

function timesPace({ dims, data }: HostTensor): HostTensor {
  return hostTensor(
    'float',
    dims,
    (data as Float32Array).map((unit) => pace * unit),
  );
}

/** Root mean square per channel, or of the tensor; 1 where there are only zeros. */
function magnitudes(values: Float32Array, { dims = [], axis }: ScaleLayout): HostTensor {
  const count = axis === undefined ? 1 : dims[axis]!;
  const squares = new Float64Array(count);
  forEachRun(values.length, count, { dims, axis }, (at, start, end) => {
    for (let i = start; i < end; i++) squares[at] = squares[at]! + values[i]! ** 2;
  });
  const size = values.length / count;
  const all = Float32Array.from(squares, (sum) => Math.sqrt(sum / size) || 1);
  const shape = dims.map((dim, at) => (at === axis ? dim : 1));
  return hostTensor('float', shape, all);
}

/**
 * g = 1 / sqrt(n q) of LSQ (section 2.2) for n elements under a scale with q steps above zero,
 * times q / 4: in the paper a number has sqrt(q) / 2 steps at the start, and here the gradients
 * of both are in shares. Optimizers that divide by the size of the gradient, as Adam, do not notice.
 */
function gradientFactor({ sites }: TrainableForm, scale: string): number {
  const weight = sites.weights.find((site) => site.scale === scale);
  const activation = sites.activations.find((site) => site.scale === scale);
  const elements = weight
    ? elementCount(weight.layout.dims) / weight.scales.length
    : activation!.elements;
  const steps = weight ? codeRange(weight.format).high : activation!.steps;
  return Math.sqrt(steps / elements) / 4;
}
