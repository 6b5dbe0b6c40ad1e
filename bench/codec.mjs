/**
 * How fast models are read and written, and in how much memory. Synthetic models: one in a single
 * file, one with external data. Each step runs in a process of its own, whose peak resident memory
 * is reported. Needs `npm run build` first, and as much free disk as twice the external model.
 *
 *   node bench/codec.mjs [--inline-mb 1024] [--external-mb 3072] [--dir FOLDER]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { create } from '@bufbuild/protobuf';
import { bytesSource } from '../dist/onnx/byte-source.js';
import { decodeModel } from '../dist/onnx/decode.js';
import { encodeModel, encodeModelExternal } from '../dist/onnx/encode.js';
import { openExternals } from '../dist/onnx/external.js';
import { nodeExternalFiles } from '../dist/onnx/node-external.js';
import { nodeFileSource } from '../dist/onnx/node-file-source.js';
import { ModelProtoSchema, NodeProtoSchema } from '../dist/onnx/schema/onnx_pb.js';
import { Tensor } from '../dist/onnx/tensor.js';
import { tensorFromProto, tensorToProto } from '../dist/onnx/tensor-proto.js';

const MB = 2 ** 20;
const tensorBytes = 4 * MB;
const nodesPerTensor = 6;

/** A chain of nodes with attributes, and one initializer of 4 MB for every sixth node. */
function syntheticModel(megabytes, content) {
  const contents = new Map();
  const proto = create(ModelProtoSchema, {
    irVersion: 10n,
    producerName: 'pare-bench',
    opsetImport: [{ domain: '', version: 21n }],
    graph: { name: 'synthetic' },
  });
  for (let index = 0; index < (megabytes * MB) / tensorBytes; index++) {
    const tensor = content(index);
    const message = tensorToProto(tensor, `weight_${index}`);
    contents.set(message, tensor);
    proto.graph.initializer.push(message);
    for (let at = 0; at < nodesPerTensor; at++) {
      const name = `node_${index}_${at}`;
      proto.graph.node.push(
        create(NodeProtoSchema, {
          name,
          opType: 'Conv',
          input: [`value_${index}_${at}`, `weight_${index}`],
          output: [`value_${index}_${at + 1}`],
          attribute: [
            { name: 'kernel_shape', type: 7, ints: [3n, 3n] },
            { name: 'pads', type: 7, ints: [1n, 1n, 1n, 1n] },
            { name: 'group', type: 2, i: 1n },
          ],
        }),
      );
    }
  }
  return { proto, contents };
}

/** Weights in memory, every page of them touched. */
function filledTensor(index) {
  const values = new Float32Array(tensorBytes / 4).fill(index + 0.5);
  return Tensor.of('float', [values.length], values);
}

/** Weights that are made when they are written. */
function lazyTensor(index) {
  const source = {
    name: `synthetic ${index}`,
    byteLength: tensorBytes,
    async slice(start, end) {
      return new Uint8Array(end - start).fill(index);
    },
  };
  return new Tensor('float', [tensorBytes / 4], {
    kind: 'range',
    source,
    offset: 0,
    byteLength: tensorBytes,
    location: 'synthetic',
  });
}

async function writeParts(path, parts) {
  const file = await open(path, 'w');
  let bytes = 0;
  for await (const part of parts) {
    await file.write(part);
    bytes += part.byteLength;
  }
  await file.close();
  return bytes;
}

async function writeExternal(path, message) {
  const { parts, files } = await encodeModelExternal(message, { location: 'weights.data' });
  mkdirSync(dirname(path), { recursive: true });
  let bytes = await writeParts(path, parts);
  for (const { location, parts } of files) {
    bytes += await writeParts(join(dirname(path), location), parts());
  }
  return bytes;
}

/** Replaces the initializers of a decoded model by messages with their contents beside. */
function contentsOf(proto, externals) {
  const contents = new Map();
  proto.graph.initializer = proto.graph.initializer.map((initializer) => {
    const tensor = tensorFromProto(initializer, externals);
    const message = tensorToProto(tensor, initializer.name);
    contents.set(message, tensor);
    return message;
  });
  return { proto, contents };
}

/** Each gives the size of the model and the milliseconds of its timed parts. */
const steps = {
  async 'encode, one file'({ dir, inlineMb }) {
    const message = syntheticModel(inlineMb, filledTensor);
    const timer = stopwatch();
    const parts = await encodeModel(message);
    const encode = timer();
    const bytes = await writeParts(join(dir, 'inline.onnx'), parts);
    return { bytes, encode, write: timer() };
  },
  async 'read and write, one file'({ dir }) {
    const timer = stopwatch();
    const source = await nodeFileSource(join(dir, 'inline.onnx'));
    const proto = await decodeModel(source);
    await source.close();
    const decode = timer();
    const parts = await encodeModel(contentsOf(proto, new Map()));
    const encode = timer();
    const bytes = await writeParts(join(dir, 'copy.onnx'), parts);
    return { bytes, decode, encode, write: timer() };
  },
  async 'decode from memory, one file'({ dir }) {
    const bytes = readFileSync(join(dir, 'inline.onnx'));
    const timer = stopwatch();
    const { contents } = contentsOf(await decodeModel(bytesSource(bytes)), new Map());
    if (contents.size === 0) throw new Error('no weights');
    return { bytes: bytes.length, decode: timer() };
  },
  async 'write, external data'({ dir, externalMb }) {
    const timer = stopwatch();
    const message = syntheticModel(externalMb, lazyTensor);
    const bytes = await writeExternal(join(dir, 'external', 'model.onnx'), message);
    return { bytes, write: timer() };
  },
  async 'read and write, external data'({ dir }) {
    const path = join(dir, 'external', 'model.onnx');
    const timer = stopwatch();
    const source = await nodeFileSource(path);
    const proto = await decodeModel(source);
    const external = nodeExternalFiles(path);
    const message = contentsOf(proto, await openExternals(proto, external.files));
    const decode = timer();
    const bytes = await writeExternal(join(dir, 'copy', 'model.onnx'), message);
    await Promise.all([source.close(), external.close()]);
    return { bytes, decode, write: timer() };
  },
};

function stopwatch() {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const elapsed = now - last;
    last = now;
    return elapsed;
  };
}

const { values } = parseArgs({
  options: {
    'inline-mb': { type: 'string', default: '1024' },
    'external-mb': { type: 'string', default: '3072' },
    dir: { type: 'string' },
    step: { type: 'string' },
  },
});
const sizes = { inlineMb: Number(values['inline-mb']), externalMb: Number(values['external-mb']) };

if (values.step) {
  const result = await steps[values.step]({ dir: values.dir, ...sizes });
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  console.log(JSON.stringify({ ...result, peakBytes }));
} else {
  const dir = mkdtempSync(join(values.dir ?? tmpdir(), 'pare-codec-'));
  try {
    report(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function report(dir) {
  const protobuf = JSON.parse(
    readFileSync(new URL('../node_modules/@bufbuild/protobuf/package.json', import.meta.url)),
  ).version;
  console.log(
    `${cpus()[0].model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB; ` +
      `Node ${process.version}, protobuf-es ${protobuf}\n`,
  );
  console.log('| step | model MB | decode ms | encode ms | write ms | peak MB | peak / model |');
  console.log('|---|---:|---:|---:|---:|---:|---:|');
  for (const step of Object.keys(steps)) {
    const args = [fileURLToPath(import.meta.url), '--step', step, '--dir', dir];
    for (const name of ['inline-mb', 'external-mb']) args.push(`--${name}`, values[name]);
    const { bytes, decode, encode, write, peakBytes } = JSON.parse(
      execFileSync(process.execPath, args, { encoding: 'utf8' }),
    );
    const cells = [bytes / 1e6, decode, encode, write, peakBytes / 1e6].map((value) =>
      value === undefined ? '' : value.toFixed(0),
    );
    console.log(`| ${step} | ${cells.join(' | ')} | ${(peakBytes / bytes).toFixed(2)} |`);
  }
  const [original, copy] = ['inline.onnx', 'copy.onnx'].map(
    (name) => statSync(join(dir, name)).size,
  );
  if (original !== copy) throw new Error(`the copy has ${copy} bytes, the original ${original}`);
}
