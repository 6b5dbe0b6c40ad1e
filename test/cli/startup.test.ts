/**
 * `pare --help` starts in the time of Node itself because it loads next to nothing, and the help
 * of a command loads its definition, zod and commander beside that. A list of modules does not depend on the
 * machine; bench/startup.mjs measures the time.
 */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { commands } from '../../src/cli/commands/index.js';
import { makeFolder, startPare } from './run-pare.js';

const folder = makeFolder();
afterAll(folder.remove);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Plain code without dependencies; cleanup.js and temp-files.js are what Ctrl-C has to remove. */
const light =
  /^(dist\/(cli|report)\/[\w-]+\.js|dist\/cli\/commands\/index\.js|dist\/disk\/(cleanup|io-error)\.js|dist\/engine\/node\/temp-files\.js|dist\/data\/did-you-mean\.js|dist\/(errors|version|progress|random)\.js|node:[\w/]+)$/;

const libraries = /^node_modules\/(zod|commander)\//;

/** The definition of a command, and the names and settings in it: of calibrators, methods, training. */
const definition =
  /^dist\/(cli\/commands\/[\w-]+|quantize\/(calibrate\/[\w-]+|names|static\/override-schema)|simplify\/names|prune\/method-names|train\/(finetune-options|gradual-options|augment|mixtures|cutmix|schedule|optimizers\/options))\.js$/;

let runs = 0;

/** The modules that a run loads, by their paths in the package, and those of Node by name. */
async function modulesOf(args: readonly string[]): Promise<string[]> {
  const log = folder.file(`modules-${++runs}.txt`);
  const hooks = `
    import { appendFileSync } from 'node:fs';
    export async function load(url, context, next) {
      appendFileSync(${JSON.stringify(log)}, url + '\\n');
      return next(url, context);
    }`;
  const register = `
    import { register } from 'node:module';
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}));`;
  const flag = `--import=data:text/javascript,${encodeURIComponent(register)}`;
  const { code, stderr } = await startPare(args, folder.path, [flag]).result;
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((url) => (url.startsWith('file:') ? relative(root, fileURLToPath(url)) : url));
}

test('help loads no library and nothing that knows models or data', async () => {
  const modules = await modulesOf(['--help']);
  expect(modules).toContain('dist/cli/main.js');
  expect(modules).toContain('dist/cli/help.js');
  expect(modules.filter((module) => !light.test(module))).toEqual([]);
  expect(modules.length).toBeLessThan(60);
});

test.each(commands.map(({ name }) => name))(
  'help of %s loads its definition, zod and commander, and no other room',
  async (name) => {
    const modules = await modulesOf([name, '--help']);
    expect(modules).toContain(`dist/cli/commands/${name}.js`);
    const allowed = (module: string) =>
      [light, definition, libraries].some((known) => known.test(module));
    expect(modules.filter((module) => !allowed(module))).toEqual([]);
  },
);

test('running a command loads the rest', async () => {
  const asset = join(root, 'assets/digits.onnx');
  const modules = await modulesOf(['bench', asset, '--rounds', '1', '--no-memory', '--quiet']);
  expect(modules).toContain('dist/cli/run/bench.js');
  expect(modules.some((module) => module.startsWith('dist/engine/'))).toBe(true);
});
