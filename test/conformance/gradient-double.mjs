/**
 * Rewrites a float model, gradients among it, for the kernels that the runtime has for double:
 * convolutions as products of gathered windows, activations and pools in arithmetic. What the
 * model computes stays, to the last places of double, so that differences of it can be taken with
 * steps of a millionth. Shapes must be fixed. For checks only: it is many times slower.
 */
import { asFloat } from './gradient-values.mjs';

/**
 * Turns the model itself to double. Its inputs and initializers of type float become double.
 * Throws where a node has attributes that no rewrite knows.
 *
 * @param feeds of the float model, for a run that tells dims which inference cannot
 */
export async function toDouble(pare, model, { engine, feeds }) {
  const { graph } = model;
  await pare.inferShapes(engine, model);
  await probeDims(pare, model, { engine, feeds });
  for (const value of graph.initializers) {
    const tensor = value.initializer;
    if (value.isUnused && !value.isOutput) graph.removeValue(value);
    else if (tensor.content.kind === 'range') {
      value.initializer = pare.Tensor.raw(tensor.dataType, tensor.dims, await tensor.bytes());
    }
  }
  asFloat(pare, model, 'double');
  for (const node of [...graph.nodes]) {
    const write = Object.hasOwn(rewrites, node.op) ? rewrites[node.op] : undefined;
    if (!write || node.output().dataType !== 'double') continue;
    const position = { before: node };
    const e = new pare.Emitter(graph, { scope: node.label, type: 'double', position });
    const result = write(e, node);
    const [output] = node.takeOutputs();
    graph.addNode({ opType: 'Identity', inputs: [result], outputs: [output] }, position);
    graph.removeNode(node);
  }
  for (const value of graph.values) {
    if (!value.isInput && !value.isOutput && !value.initializer) value.type = undefined;
  }
}

/** Dims of what rewrites look at, where they follow from numbers that the graph computes. */
async function probeDims(pare, model, { engine, feeds }) {
  const { graph } = model;
  const known = ({ dims }) => dims?.every((dim) => typeof dim === 'number');
  const open = [...graph.nodes]
    .filter(({ op }) => Object.hasOwn(rewrites, op))
    .flatMap((node) => [node.input(0), node.output()])
    .filter((value) => !known(value) && !value.isInput);
  if (open.length === 0) return;
  const kept = [...graph.outputs];
  graph.outputs.push(...new Set(open.filter((value) => !value.isOutput)));
  const session = await engine.createSession(await pare.modelSource(model));
  const results = await session.run(feeds);
  await session.release();
  graph.outputs.splice(0, Number.POSITIVE_INFINITY, ...kept);
  for (const value of open) {
    const { dataType, dims } = results[value.name];
    value.type = pare.tensorType(dataType, dims);
  }
}

const range = (count) => Array.from({ length: count }, (_, at) => at);
const product = (numbers) => numbers.reduce((total, number) => total * number, 1);

/** All index tuples below these sizes, the last index fastest. */
function places(sizes) {
  return sizes.reduce(
    (tuples, size) => tuples.flatMap((tuple) => range(size).map((at) => [...tuple, at])),
    [[]],
  );
}

/** kernel, strides, dilations and pads of a node, with the defaults of ONNX. */
function windowOf(node, kernel) {
  const axes = kernel.length;
  if (node.string('auto_pad', 'NOTSET') !== 'NOTSET') throw new Error(`auto_pad of ${node.label}`);
  return {
    kernel,
    axes: range(axes).map((at) => at + 2),
    strides: node.ints('strides', Array(axes).fill(1)),
    dilations: node.ints('dilations', Array(axes).fill(1)),
    pads: node.ints('pads', Array(axes * 2).fill(0)),
  };
}

function pad(e, x, begins, ends) {
  const pads = [0, 0, ...begins, 0, 0, ...ends];
  return pads.every((each) => each === 0) ? x : e.op('Pad', [x, e.ints(...pads)]);
}

/** The elements of x under each window: [N, C, taps, outputs], one slice per tap or per output. */
function windows(e, x, [batch, channels], { kernel, axes, strides, dilations, pads }, out) {
  const padded = pad(e, x, pads.slice(0, axes.length), pads.slice(axes.length));
  const byTap = product(kernel) <= product(out);
  const [steps, far, near] = byTap ? [strides, out, dilations] : [dilations, kernel, strides];
  const parts = places(byTap ? kernel : out).map((place) => {
    const starts = place.map((at, axis) => at * near[axis]);
    const ends = starts.map((start, axis) => start + (far[axis] - 1) * steps[axis] + 1);
    const part = e.slice(padded, starts, ends, axes, steps);
    return e.reshape(part, byTap ? [batch, channels, 1, -1] : [batch, channels, -1, 1]);
  });
  return e.concat(parts, byTap ? 2 : 3);
}

function conv(e, node) {
  const [x, w, bias] = node.inputs;
  const out = node.output().dims.slice(2);
  const [maps, inner, ...kernel] = w.dims;
  const group = node.int('group', 1);
  const taps = inner * product(kernel);
  const columns = windows(e, x, x.dims, windowOf(node, kernel), out);
  const y = e.op('MatMul', [
    e.reshape(w, [group, maps / group, taps]),
    e.reshape(columns, [x.dims[0], group, taps, product(out)]),
  ]);
  const shaped = e.reshape(y, [x.dims[0], maps, ...out]);
  return bias ? e.add(shaped, e.reshape(bias, [maps, ...out.map(() => 1)])) : shaped;
}

/** What each input adds to the windows, put to the places of the windows and added up. */
function convTranspose(e, node) {
  const [x, w, bias] = node.inputs;
  const [batch, channels, ...size] = x.dims;
  const [, inner, ...kernel] = w.dims;
  const out = node.output().dims.slice(2);
  const group = node.int('group', 1);
  const taps = product(kernel);
  const { strides, dilations, pads } = windowOf(node, kernel);
  const weight = e.reshape(w, [group, channels / group, inner * taps]);
  const columns = e.op('MatMul', [
    e.transpose(weight, [0, 2, 1]),
    e.reshape(x, [batch, group, channels / group, product(size)]),
  ]);
  const maps = group * inner;
  const byTap = e.reshape(columns, [batch, maps, taps, product(size)]);
  const parts = places(kernel).map((place, tap) => {
    const one = e.slice(byTap, [tap], [tap + 1], [2]);
    const spread = spreadOut(e, e.reshape(one, [batch, maps, ...size]), size, strides);
    const begins = place.map((at, axis) => at * dilations[axis] - pads[axis]);
    const ends = out.map((dim, axis) => dim - size[axis] * strides[axis] - begins[axis]);
    return pad(e, spread, begins, ends);
  });
  const y = e.sum(parts);
  return bias ? e.add(y, e.reshape(bias, [maps, ...out.map(() => 1)])) : y;
}

/** stride - 1 zeros behind each element. */
function spreadOut(e, x, size, strides) {
  if (strides.every((stride) => stride === 1)) return x;
  // A dim of 0 in a shape means "as it was".
  const apart = e.reshape(x, [0, 0, ...size.flatMap((dim) => [dim, 1])]);
  const zeros = strides.flatMap((stride) => [0, stride - 1]);
  const padded = pad(
    e,
    apart,
    zeros.map(() => 0),
    zeros,
  );
  return e.reshape(padded, [0, 0, ...size.map((dim, axis) => dim * strides[axis])]);
}

/** Without pads, or with pads that count. */
function averagePool(e, node) {
  const [x] = node.inputs;
  const kernel = node.ints('kernel_shape');
  const window = windowOf(node, kernel);
  if (window.pads.some((each) => each > 0) && node.int('count_include_pad', 0) === 0) {
    throw new Error(`pads of ${node.label}`);
  }
  const out = node.output().dims.slice(2);
  const columns = windows(e, x, x.dims, window, out);
  const mean = e.reduce('ReduceMean', columns, [2], false);
  return e.reshape(mean, node.output().dims);
}

function globalAveragePool(e, node) {
  const axes = range(node.input(0).dims.length).slice(2);
  return e.reduce('ReduceMean', node.input(0), axes);
}

function instanceNormalization(e, node) {
  const [x, scale, bias] = node.inputs;
  const axes = range(x.dims.length).slice(2);
  const perChannel = (value) => e.reshape(value, [-1, ...axes.map(() => 1)]);
  const centred = e.sub(x, e.reduce('ReduceMean', x, axes));
  const variance = e.reduce('ReduceMean', e.square(centred), axes);
  const deviation = e.op('Sqrt', [e.add(variance, node.float('epsilon', 1e-5))]);
  return e.add(e.mul(e.div(centred, deviation), perChannel(scale)), perChannel(bias));
}

function hardSigmoid(e, x, alpha, beta) {
  return e.op('Max', [e.op('Min', [e.add(e.mul(x, alpha), beta), 1]), 0]);
}

function leaky(e, x, slope) {
  return e.where(e.op('Less', [x, 0]), e.mul(x, slope), x);
}

/**
 * Rational approximations of erf near 0 and of exp(x²) erfc(x) elsewhere, good to 1e-15.
 * Source: Cody, Rational Chebyshev approximations for the error function (1969).
 */
const nearZero = {
  over: [
    0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302,
    3209.3775891384694,
  ],
  under: [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171],
};
const beyond = {
  over: [
    2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163,
    298.6351381974001, 881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
  ],
  under: [
    1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903,
    3290.7992357334597, 4362.619090143247, 3439.3676741437216, 1230.3393548037495,
  ],
};

function erf(e, node) {
  const x = node.input(0);
  const size = e.op('Abs', [x]);
  const square = e.square(x);
  const ratio = ({ over, under }, at) => {
    const value = ([first, ...rest]) =>
      rest.reduce((sum, factor) => e.add(e.op('Mul', [sum, at]), factor), first);
    return e.div(value(over), value(under));
  };
  const small = e.mul(x, ratio(nearZero, square));
  const far = e.op('Min', [size, 10]);
  const tail = e.mul(e.op('Exp', [e.neg(e.square(far))]), ratio(beyond, far));
  const large = e.mul(e.op('Sign', [x]), e.sub(1, tail));
  return e.where(e.op('Less', [size, 0.46875]), small, large);
}

/**
 * A map that moves elements and has a kernel for float alone: of three floats that add up to the
 * double, so that nothing is lost and what was equal stays equal.
 */
function inThreeParts(e, node) {
  const [x, ...rest] = node.inputs;
  const narrow = (value) => e.op('Cast', [value], { to: floatCode });
  const widen = (value) => e.op('Cast', [value], { to: doubleCode });
  const others = rest.map((each) => (each?.dataType === 'double' ? narrow(each) : each));
  const attributes = Object.fromEntries(node.attributes);
  const parts = [];
  for (let left = x; parts.length < 3; left = e.sub(left, widen(parts.at(-1)))) {
    parts.push(narrow(left));
  }
  const moved = parts.map((part) => widen(e.op(node.opType, [part, ...others], attributes)));
  return e.sum(moved.reverse());
}

/** Of TensorProto.DataType. */
const [floatCode, doubleCode] = [1, 11];

const rewrites = {
  Conv: conv,
  ConvTranspose: convTranspose,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  InstanceNormalization: instanceNormalization,
  Erf: erf,
  HardSigmoid: (e, node) =>
    hardSigmoid(e, node.input(0), node.float('alpha', 0.2), node.float('beta', 0.5)),
  HardSwish: (e, node) => e.mul(node.input(0), hardSigmoid(e, node.input(0), 1 / 6, 0.5)),
  LeakyRelu: (e, node) => leaky(e, node.input(0), node.float('alpha', 0.01)),
  Resize: inThreeParts,
  PRelu: (e, node) => leaky(e, node.input(0), node.input(1)),
};
