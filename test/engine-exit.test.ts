/**
 * The end of a process that uses the engine, in whatever state. These need processes of their own,
 * which load the built package, as users do.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const engineUrl = new URL('../dist/engine/node.js', import.meta.url).href;
const modelsUrl = new URL('../dist/engine/test-models.js', import.meta.url).href;

/** Starts an engine, and a run that takes a while, then does what `code` says. */
function runProcess(code: string): Promise<{ code: number | null; output: string }> {
  const script = `
    import { createNodeEngine } from ${JSON.stringify(engineUrl)};
    import { graph, model, node, port, sourceOf } from ${JSON.stringify(modelsUrl)};
    const engine = await createNodeEngine({ threads: 1 });
    const body = graph({
      nodes: [node('Identity', ['go_in'], ['go']), node('MatMul', ['a_in', 'a_in'], ['a'])],
      inputs: [port('turn', 'int64', []), port('go_in', 'bool', []), port('a_in', 'float')],
      outputs: [port('go', 'bool', []), port('a', 'float')],
    });
    const session = await engine.createSession(sourceOf(model({
      nodes: [node('Loop', ['turns', '', 'x'], ['y'], { body })],
      inputs: [port('turns', 'int64', []), port('x', 'float', [64, 64])],
      outputs: [port('y', 'float', [64, 64])],
    })));
    const run = (turns) => session.run({
      turns: { dataType: 'int64', dims: [], data: BigInt64Array.of(turns) },
      x: { dataType: 'float', dims: [64, 64], data: new Float32Array(4096) },
    });
    ${code}`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (text) => (output += text));
    child.stderr.on('data', (text) => (output += text));
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ code: exitCode, output }));
  });
}

it.each([
  ['an idle engine does not keep the process alive', 'await run(1n);', 0, /^$/],
  ['a pending run does', 'run(10_000n).then(() => console.log("ran"));', 0, /^ran\n$/],
  ['process.exit in a run', 'run(50_000n); setTimeout(() => process.exit(3), 20);', 3, /^$/],
  [
    'process.exit with runs in the queue',
    'run(20_000n); run(20_000n); setTimeout(() => process.exit(4), 20);',
    4,
    /^$/,
  ],
  [
    'an error on the main thread in a run',
    'run(50_000n); setTimeout(() => { throw new Error("boom"); }, 20);',
    1,
    /Error: boom/,
  ],
  [
    'closing in a run',
    'run(10_000n); await engine.close(); console.log("closed");',
    0,
    /^closed\n$/,
  ],
])('%s', async (_, code, expectedCode, expectedOutput) => {
  const result = await runProcess(code);
  expect(result.output).toMatch(expectedOutput);
  expect(result.code).toBe(expectedCode);
});
