/**
 * How far the outputs move when a model takes raw integers in place of prepared floats: both run
 * on the same samples. Changes nothing.
 */
import type { EngineSession } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import { type PassContext, requireEngine } from '../../pass.js';
import { floatFeeds, type InputSpec, rawFeeds } from './input-spec.js';

/** A sentence for the report. Samples may be those of the float model or raw ones. */
export async function measureInputChange(
  before: Model,
  after: Model,
  specs: readonly InputSpec[],
  { samples: limit }: { readonly samples: number },
  context: PassContext,
): Promise<string> {
  const engine = requireEngine(context, 'quantize-input');
  const sessions: EngineSession[] = [];
  let signal = 0;
  let noise = 0;
  let count = 0;
  try {
    for (const model of [before, after]) {
      sessions.push(await engine.createSession(await modelSource(model)));
    }
    const [float, raw] = sessions as [EngineSession, EngineSession];
    for await (const feeds of context.samples!()) {
      throwIfAborted(context.signal);
      const expected = await float.run(floatFeeds(specs, feeds));
      const actual = await raw.run(rawFeeds(specs, feeds));
      for (const { name, dataType } of float.outputs) {
        if (dataType !== 'float') continue;
        const [a, b] = [float32Of(expected[name]!), float32Of(actual[name]!)];
        a.forEach((value, at) => {
          signal += value ** 2;
          noise += (value - b[at]!) ** 2;
        });
      }
      if (++count >= limit) break;
    }
  } finally {
    for (const session of sessions) await session.release();
  }
  const snr =
    noise === 0 ? 'equal in every bit' : `${(10 * Math.log10(signal / noise)).toFixed(1)} dB SNR`;
  return `outputs beside those with the float input: ${snr}, on ${count} samples`;
}
