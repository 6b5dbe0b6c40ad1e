/**
 * The process in which peak memory is measured: loads one model, runs it, reports, ends.
 * Plain JavaScript for the reason given in ../remote/serve.js; it must not load anything else,
 * since everything that it loads is measured.
 */
/**
 * @import { PeakReply, PeakRequest } from './peak-memory.js'
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { loadRuntime } from './load-runtime.js';

/** Bytes of a line such as `VmHWM:  123 kB`; undefined where there is no such file. @param {string} key */
function linuxStatus(key) {
  try {
    const line = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(
      readFileSync('/proc/self/status', 'utf8'),
    );
    return line === null ? undefined : Number(line[1]) * 1024;
  } catch {
    return undefined;
  }
}

/** Highest resident bytes so far. */
function peakBytes() {
  return linuxStatus('VmHWM') ?? process.resourceUsage().maxRSS * 1024;
}

/** Resident bytes now, where the peak can be set back to them; otherwise the peak so far. */
function baselineBytes() {
  globalThis.gc?.();
  try {
    writeFileSync('/proc/self/clear_refs', '5');
    return linuxStatus('VmRSS') ?? peakBytes();
  } catch {
    return peakBytes();
  }
}

/** @param {PeakRequest} request @returns {Promise<PeakReply>} */
async function measure(request) {
  const { feeds, options, runs } = request;
  const { ort } = await loadRuntime(request);
  const tensors = Object.fromEntries(
    Object.entries(feeds).map(([name, { type, data, dims }]) => [
      name,
      new ort.Tensor(type, data, dims),
    ]),
  );
  // The WASM code is compiled with the first session; an empty model is refused after that.
  if (request.runtime === 'onnxruntime-web') {
    await ort.InferenceSession.create(new Uint8Array(0), options).catch(() => {});
  }
  const baseline = baselineBytes();
  const session = await createSession(ort, request);
  for (let run = 0; run < runs; run++) {
    const results = await session.run(tensors);
    for (const tensor of Object.values(results)) tensor.dispose();
  }
  const peak = peakBytes();
  await session.release();
  return { baselineBytes: baseline, peakBytes: Math.max(baseline, peak) };
}

/**
 * @param {Awaited<ReturnType<typeof loadRuntime>>['ort']} ort
 * @param {PeakRequest} request
 */
function createSession(ort, { runtime, path, externals, options }) {
  if (runtime === 'onnxruntime-node') return ort.InferenceSession.create(path, options);
  const externalData = externals.map(({ location, file }) => ({
    path: location,
    data: new Uint8Array(readFileSync(file)),
  }));
  return ort.InferenceSession.create(new Uint8Array(readFileSync(path)), {
    ...options,
    externalData,
  });
}

process.once('message', async (request) => {
  /** @type {PeakReply} */
  let reply;
  try {
    reply = await measure(/** @type {PeakRequest} */ (request));
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(reply, () => process.disconnect());
});
