/**
 * The models of bench/train.mjs: three trained ones, and a transformer of two layers with random
 * weights, whose parameters bench/peers/train_torch.py knows by name.
 */
import { join } from 'node:path';

/** Samples of a batch, and the file in FOLDER/models where it is one. */
export const cases = {
  resnet20: { batch: 128, file: 'resnet20_cifar10.onnx' },
  lenet: { batch: 64, file: 'lenet_mnist.onnx' },
  vww: { batch: 32, file: 'vww_mobilenetv1_025_96.onnx' },
  transformer: { batch: 16 },
};

/** The model of a case as training sees it: simplified, with an open batch. */
export async function modelOf(pare, engine, folder, name) {
  const { batch, file } = cases[name];
  const opened = file && (await pare.openModel(join(folder, 'models', file)));
  try {
    const model = opened ? opened.model : transformer(pare);
    const options = { exclude: ['merge-initializers'] };
    const { model: simple } = await pare.simplify(model, options, { engine });
    const open = await pare.openBatch(simple, engine, batch);
    // Weights in memory, before the file is closed.
    const { parts } = await pare.modelSource(open);
    return new Uint8Array(Buffer.concat(parts));
  } finally {
    await opened?.close();
  }
}

/** Layers of width 256 with 4 heads and 1024 hidden units, over 64 places of 64 numbers. */
function transformer(pare) {
  const [places, width, heads, hidden, classes] = [64, 256, 4, 1024, 10];
  const model = new pare.Model({ opsets: [['', 20]], irVersion: 9 });
  const { graph } = model;
  graph.name = 'transformer';
  const random = pare.createRandom(1);
  const weight = (name, ...dims) => {
    const count = dims.reduce((product, dim) => product * dim, 1);
    const scale = 1 / Math.sqrt(dims[0]);
    const numbers = Float32Array.from({ length: count }, () => (2 * random.next() - 1) * scale);
    return graph.addInitializer(name, pare.Tensor.of('float', dims, numbers));
  };
  const filled = (name, dim, number) =>
    graph.addInitializer(name, pare.Tensor.of('float', [dim], new Float32Array(dim).fill(number)));
  const e = new pare.Emitter(graph, { scope: 'net' });
  const linear = (x, name, from, to) =>
    e.add(e.op('MatMul', [x, weight(`${name}.weight`, from, to)]), filled(`${name}.bias`, to, 0));
  const norm = (x, name) =>
    e.op('LayerNormalization', [
      x,
      filled(`${name}.weight`, width, 1),
      filled(`${name}.bias`, width, 0),
    ]);
  const input = graph.addInput('input', pare.tensorType('float', ['batch', places, 64]));
  let x = e.add(linear(input, 'embed', 64, width), weight('position', places, width));
  for (const layer of [0, 1]) {
    const h = norm(x, `${layer}.norm1`);
    const part = (name, perm) => {
      const flat = linear(h, `${layer}.${name}`, width, width);
      return e.transpose(e.reshape(flat, [0, places, heads, width / heads]), perm);
    };
    const scores = e.op('MatMul', [part('q', [0, 2, 1, 3]), part('k', [0, 2, 3, 1])]);
    const scaled = e.mul(scores, 1 / Math.sqrt(width / heads));
    const shares = e.op('Softmax', [scaled], { axis: -1 });
    const seen = e.transpose(e.op('MatMul', [shares, part('v', [0, 2, 1, 3])]), [0, 2, 1, 3]);
    x = e.add(x, linear(e.reshape(seen, [0, places, width]), `${layer}.out`, width, width));
    const inner = linear(norm(x, `${layer}.norm2`), `${layer}.up`, width, hidden);
    x = e.add(x, linear(e.op('Gelu', [inner]), `${layer}.down`, hidden, width));
  }
  const mean = e.reduce('ReduceMean', norm(x, 'norm'), [1], false);
  const logits = linear(mean, 'head', width, classes);
  logits.type = pare.tensorType('float', ['batch', classes]);
  graph.outputs.push(logits);
  return model;
}
