/**
 * The ONNX backend node cases, for the scripts that run them: the command line and the modules of
 * the build, the archive unpacked for as long as it is used, names and tensors of cases.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { createValueReader } from './case-values.mjs';

/** Without these no case can be read. */
const readers = [
  'load.js',
  'onnx/byte-source.js',
  'onnx/schema/onnx_pb.js',
  'onnx/tensor-proto.js',
];

/**
 * The command line, and everything that the modules export. Ends the process where there is no
 * folder.
 *
 * @param flags further options, as parseArgs takes them
 * @param modules paths in the build
 */
export async function openBackend(usage, flags, modules) {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      verbose: { type: 'boolean', default: false },
      dist: { type: 'string', default: join(import.meta.dirname, '../../dist') },
      ...flags,
    },
  });
  const [folder] = positionals;
  if (!folder) {
    console.error(`usage: node test/conformance/${basename(process.argv[1])} FOLDER ${usage}`);
    process.exit(2);
  }
  const load = (path) => import(pathToFileURL(join(options.dist, path)).href);
  const pare = Object.assign({}, ...(await Promise.all([...readers, ...modules].map(load))));
  return { options, folder, pare };
}

/** Runs with the folder that holds node/CASE/..., and removes what was unpacked. */
export async function usingCases(folder, run) {
  if (existsSync(join(folder, 'node'))) return run(folder);
  const temporary = mkdtempSync(join(tmpdir(), 'pare-'));
  try {
    execFileSync('tar', ['xzf', join(folder, 'onnx-backend-node.tar.gz'), '-C', temporary]);
    return await run(temporary);
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

/** Names such as node/CASE that hold one of the texts of `filter`, separated by commas, of those that the runtime itself reproduces; all where no file says so. */
export function matchingCases(folder, root, filter) {
  const file = join(folder, 'onnx-backend-node.status.json');
  const status = existsSync(file)
    ? JSON.parse(readFileSync(file, 'utf8'))
    : Object.fromEntries(readdirSync(join(root, 'node')).map((name) => [`node/${name}`, 'match']));
  const texts = filter.split(',');
  return Object.keys(status).filter(
    (name) => status[name] === 'match' && texts.some((text) => name.includes(text)),
  );
}

/**
 * The model of a case, and its data: one entry per input without an initializer and per output,
 * undefined where the case gives none.
 */
export async function readCase(pare, path) {
  const readValue = createValueReader(pare);
  // A plain array: a Buffer would share its memory when it is sliced.
  const readBytes = (file) => new Uint8Array(readFileSync(file));
  const model = await pare.loadModel(pare.bytesSource(readBytes(join(path, 'model.onnx'))));
  const read = (kind, ports) =>
    ports.map((port, at) => {
      const file = join(path, 'test_data_set_0', `${kind}_${at}.pb`);
      return existsSync(file) ? readValue(readBytes(file), port.type) : undefined;
    });
  const ports = model.graph.inputs.filter((input) => !input.initializer);
  return {
    model,
    ports,
    inputs: read('input', ports),
    outputs: read('output', model.graph.outputs),
  };
}
