/**
 * The process in which peak memory is measured: loads one model, runs it, reports, ends.
 * Plain JavaScript for the reason given in worker.js; it must not load anything else, since
 * everything that it loads is measured.
 */
/**
 * @import { PeakReply, PeakRequest } from './peak-memory.js'
 */
import { readFileSync, writeFileSync } from 'node:fs';

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

// See worker.js: the native side cannot read a Float16Array.
Reflect.deleteProperty(globalThis, 'Float16Array');

/** @param {PeakRequest} request @returns {Promise<PeakReply>} */
async function measure({ path, feeds, options, runs }) {
  const ort = await import('onnxruntime-node');
  ort.env.logLevel = 'fatal';
  const tensors = Object.fromEntries(
    Object.entries(feeds).map(([name, { type, data, dims }]) => [
      name,
      new ort.Tensor(type, data, dims),
    ]),
  );
  const baseline = baselineBytes();
  const session = await ort.InferenceSession.create(path, options);
  for (let run = 0; run < runs; run++) {
    const results = await session.run(tensors);
    for (const tensor of Object.values(results)) tensor.dispose();
  }
  const peak = peakBytes();
  await session.release();
  return { baselineBytes: baseline, peakBytes: Math.max(baseline, peak) };
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
