#!/usr/bin/env node
// Writes the generated files: the ONNX schema (from proto/, with buf), src/version.ts (from
// package.json) and docs/cli.md (from the option schemas of the commands; needs `npm run build`
// first). With --check it writes nothing
// and fails when a committed file differs from what would be generated.
// Usage: node scripts/generate.mjs [--check] [--dist FOLDER]
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: { check: { type: 'boolean', default: false }, dist: { type: 'string' } },
});
const dist = values.dist === undefined ? join(root, 'dist') : resolve(values.dist);

const generated = new Map([
  ...generateSchema(),
  ['src/version.ts', generateVersion()],
  ['docs/cli.md', await generateReference()],
]);
const stale = [...generated].filter(([path, content]) => read(path) !== content);
for (const [path, content] of stale) {
  if (values.check) {
    console.error(`out of date: ${path}`);
    continue;
  }
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
  console.error(`written: ${path}`);
}
if (values.check && stale.length > 0) {
  console.error('run `npm run build && npm run generate` and commit the result');
  process.exitCode = 1;
} else {
  console.error(`${generated.size} generated files up to date`);
}

/** Runs buf into a temporary folder: [path in the repository, content] of every file. */
function generateSchema() {
  const folder = mkdtempSync(join(tmpdir(), 'pare-generate-'));
  try {
    const bin = join(root, 'node_modules', '.bin');
    const { status, stderr, error } = spawnSync('buf', ['generate', '--output', folder], {
      cwd: root,
      // buf looks for its plugins on the path.
      env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    if (status !== 0) throw new Error(`buf generate failed: ${error?.message ?? stderr}`);
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const file = join(entry.parentPath, entry.name);
        const path = relative(folder, file).replaceAll('\\', '/');
        return [path, readFileSync(file, 'utf8')];
      });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The committed file with the version of package.json. */
function generateVersion() {
  const { version } = JSON.parse(read('package.json'));
  return read('src/version.ts').replace(/(version = ')[^']*/, `$1${version}`);
}

async function generateReference() {
  const load = (name) => import(pathToFileURL(join(dist, 'cli', name)).href);
  if (!existsSync(join(dist, 'cli')))
    throw new Error(`${dist} holds no build: npm run build first`);
  const { commandReference } = await load('docs.js');
  const { commands } = await load('commands/index.js');
  return commandReference(commands);
}

function read(path) {
  const file = join(root, path);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
