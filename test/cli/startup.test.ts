/**
 * `pare --help` starts in the time of Node itself because it loads next to nothing. A list of
 * modules does not depend on the machine; bench/startup.mjs measures the time.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { makeFolder, startPare } from './run-pare.js';

const folder = makeFolder();
afterAll(folder.remove);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** The modules that a run loads, by their paths in the package, and those of Node by name. */
async function modulesOf(args: readonly string[]): Promise<string[]> {
  const log = folder.file('modules.txt');
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
  // Plain code without dependencies; temp-files.js is what Ctrl-C has to remove.
  const allowed =
    /^(dist\/(cli|report)\/[\w-]+\.js|dist\/cli\/commands\/index\.js|dist\/engine\/node\/temp-files\.js|dist\/data\/did-you-mean\.js|dist\/(errors|version|progress)\.js|node:[\w/]+)$/;
  expect(modules.filter((module) => !allowed.test(module))).toEqual([]);
  expect(modules.length).toBeLessThan(60);
});
