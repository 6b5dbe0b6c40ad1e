#!/usr/bin/env node
// Reads every .onnx file below the given folders, writes it, reads it again, and compares the two
// models structurally, weights included. Files that pare refuses are listed with their reason.
// Usage: node test/conformance/round-trip.mjs FOLDER ... [--dist DIR]   (after npm run build)
// Exits with 1 when a model differs or fails with anything but a PareError.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { dist: { type: 'string', default: join(import.meta.dirname, '../../dist') } },
});
if (positionals.length === 0) {
  console.error('usage: node test/conformance/round-trip.mjs FOLDER ... [--dist DIR]');
  process.exit(2);
}
const load = (path) => import(pathToFileURL(join(values.dist, path)).href);
const { openModel } = await load('node.js');
const { encode, loadModel } = await load('load.js');
const { differenceOf } = await load('graph/equal.js');
const { bytesSource } = await load('onnx/byte-source.js');
const { PareError } = await load('errors.js');

const files = positionals.flatMap((folder) =>
  statSync(folder).isDirectory()
    ? readdirSync(folder, { recursive: true })
        .filter((name) => name.endsWith('.onnx'))
        .map((name) => join(folder, name))
    : [folder],
);
const refused = [];
const failed = [];
let equal = 0;
let tensors = 0;
for (const file of files.sort()) {
  try {
    const { model, close } = await openModel(file);
    try {
      const again = await loadModel(bytesSource(Buffer.concat(await encode(model))));
      const difference = await differenceOf(model, again);
      if (difference) failed.push([file, difference]);
      else equal++;
      for (const graph of model.allGraphs()) tensors += graph.initializers.length;
    } finally {
      await close();
    }
  } catch (error) {
    if (error instanceof PareError) refused.push([file, error.message]);
    else failed.push([file, error.stack]);
  }
}
for (const [file, reason] of refused) console.log(`refused: ${file}: ${reason}`);
for (const [file, reason] of failed) console.log(`FAILED: ${file}: ${reason}`);
console.log(
  `${files.length} files: ${equal} equal after read, write, read (${tensors} initializers), ${refused.length} refused, ${failed.length} failed`,
);
process.exitCode = failed.length > 0 ? 1 : 0;
