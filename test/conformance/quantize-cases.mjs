/**
 * The ONNX backend cases of QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, QLinearMatMul
 * and QLinearConv against pare's own kernels, element by element and bit by bit.
 *
 *   npm run build
 *   node test/conformance/quantize-cases.mjs FOLDER [--verbose]
 *
 * FOLDER holds onnx-backend-node.tar.gz or its content, node/CASE/... A case with the operator
 * written out in others ("_expanded") has the same tensors and is computed by the kernel too.
 * Prints counts and every failure; exit code 1 when there is one or when no case was found.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openBackend, readCase, usingCases } from './backend-folder.mjs';

const { options, folder, pare } = await openBackend('[--verbose]', {}, ['quantize/kernels.js']);

const integers = ['int8', 'uint8', 'int16', 'uint16', 'int4', 'uint4', 'int32'];

/** Throws where a tensor is of a type that the kernels do not have. */
function requireType({ dataType }, allowed) {
  if (!allowed.includes(dataType)) throw new OutOfScope(`${dataType} is not implemented`);
}
class OutOfScope extends Error {}

/** One scale, one per index of the axis, or blocks. */
function layoutOf(x, scale, attribute) {
  if (scale.size === 1) return {};
  return { dims: x.dims, axis: attribute('axis', 1), blockSize: attribute('block_size', 0) };
}

const kernels = {
  async quantizelinear([x, scale, zero], [y], attribute) {
    requireType(x, ['float']);
    requireType(y, integers.slice(0, 6));
    const zeros = zero ? await zero.numbers() : 0;
    const scales = await scale.floats();
    const layout = layoutOf(x, scale, attribute);
    return [pare.quantizeLinear(await x.floats(), scales, zeros, y.dataType, layout)];
  },
  async dequantizelinear([x, scale, zero], [y], attribute) {
    requireType(x, integers);
    requireType(y, ['float']);
    const zeros = zero ? await zero.numbers() : 0;
    const scales = await scale.floats();
    const layout = layoutOf(x, scale, attribute);
    return [pare.dequantizeLinear(await x.numbers(), scales, zeros, layout)];
  },
  async dynamicquantizelinear([x], [y]) {
    requireType(x, ['float']);
    requireType(y, ['uint8']);
    const { values, scale, zeroPoint } = pare.dynamicQuantizeLinear(await x.floats());
    return [values, [scale], [zeroPoint]];
  },
  async qlinearmatmul([a, aScale, aZero, b, bScale, bZero, yScale, yZero], [y]) {
    requireType(aScale, ['float']);
    const [as, bs] = [await a.numbers(), await b.numbers()];
    const [az, bz] = [await aZero.numbers(), await bZero.numbers()];
    const [m, k, n] = [a.dims.at(-2), a.dims.at(-1), b.dims.at(-1)];
    const sums = Float32Array.from({ length: y.size }, (_, at) => {
      const [column, row] = [at % n, Math.floor(at / n) % m];
      const batch = Math.floor(at / n / m);
      const bBatch = b.dims.length > 2 ? batch * k * n : 0;
      let sum = 0;
      for (let i = 0; i < k; i++) {
        const left = as[(batch * m + row) * k + i] - az[0];
        sum += left * (bs[bBatch + i * n + column] - bz[0]);
      }
      return sum;
    });
    return [await requantize(sums, [aScale, bScale, yScale], yZero, y)];
  },
  async qlinearconv([x, xScale, xZero, w, wScale, wZero, yScale, yZero], [y], attribute) {
    if (attribute('group', 1) !== 1 || x.dims[1] !== 1 || w.dims[0] !== 1) {
      throw new OutOfScope('more than one channel is not computed here');
    }
    const [xs, ws] = [await x.numbers(), await w.numbers()];
    const [[xz], [wz]] = [await xZero.numbers(), await wZero.numbers()];
    const [, , height, width] = x.dims;
    const [, , kernelHeight, kernelWidth] = w.dims;
    const [, , , columns] = y.dims;
    const sums = Float32Array.from({ length: y.size }, (_, at) => {
      let sum = 0;
      for (let i = 0; i < kernelHeight; i++) {
        for (let j = 0; j < kernelWidth; j++) {
          const [row, column] = [Math.floor(at / columns) + i, (at % columns) + j];
          if (row >= height || column >= width) continue;
          sum += (xs[row * width + column] - xz) * (ws[i * kernelWidth + j] - wz);
        }
      }
      return sum;
    });
    return [await requantize(sums, [xScale, wScale, yScale], yZero, y)];
  },
};

/** Accumulators to the integers of the output: one float32 factor, then the kernel's rounding. */
async function requantize(sums, scales, zero, y) {
  const [a, b, out] = await Promise.all(scales.map(async (scale) => (await scale.floats())[0]));
  const factor = Math.fround(Math.fround(a * b) / out);
  const steps = sums.map((sum) => sum * factor);
  return pare.quantizeLinear(steps, 1, (await zero.numbers())[0], y.dataType);
}

/** Undefined where all elements are the same; NaN is the same as NaN, -0 not as 0 in floats. */
function difference(actual, expected) {
  const at = expected.findIndex((want, i) => !Object.is(actual[i] + 0, want + 0));
  return at < 0 ? undefined : `element ${at} is ${actual[at]}, expected ${expected[at]}`;
}

async function runCase(path, kernel) {
  const { model, ...data } = await readCase(pare, path);
  const tensors = (values) => values.flatMap((value) => (value ? [value.tensor] : []));
  const [inputs, outputs] = [tensors(data.inputs), tensors(data.outputs)];
  const node = [...model.graph.nodes].find((each) => each.opType.toLowerCase() === kernel);
  // What is written out carries no attributes any more; those cases have the defaults.
  const attribute = (name, absent) => (node?.has(name) ? node.int(name) : absent);
  const results = await kernels[kernel](inputs, outputs, attribute);
  for (const [at, output] of outputs.entries()) {
    const reason = difference(results[at], await output.numbers());
    if (reason) return `output ${at}: ${reason}`;
  }
  return outputs.length === 0 ? 'the case has no outputs' : undefined;
}

await usingCases(folder, async (unpacked) => {
  const root = join(unpacked, 'node');
  const failures = [];
  const outOfScope = [];
  let passed = 0;
  for (const name of readdirSync(root).sort()) {
    const [, kernel] = /^test_([a-z]+?)(?:_|$)/.exec(name) ?? [];
    if (!Object.hasOwn(kernels, kernel ?? '')) continue;
    try {
      const reason = await runCase(join(root, name), kernel);
      if (reason) failures.push([name, reason]);
      else passed++;
      if (options.verbose && !reason) console.log(`passed: ${name}`);
    } catch (error) {
      if (error instanceof OutOfScope) outOfScope.push([name, error.message]);
      else failures.push([name, error.message]);
    }
  }
  for (const row of outOfScope) console.log(`out of scope: ${row.join(': ')}`);
  for (const row of failures) console.log(`FAILED: ${row.join(': ')}`);
  console.log(`passed ${passed}, out of scope ${outOfScope.length}, failed ${failures.length}`);
  process.exitCode = failures.length > 0 || passed === 0 ? 1 : 0;
});
