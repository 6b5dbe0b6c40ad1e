import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PortInfo } from '../engine/engine.js';
import { bytesSource } from '../onnx/byte-source.js';
import { parseCsv } from './csv.js';
import type { Sample } from './dataset.js';
import { openDataset } from './open.js';
import { decodeWav } from './wav.js';

const file = (name: string, text: string) => bytesSource(new TextEncoder().encode(text), name);
const port = (
  name: string,
  dims: readonly (number | string)[],
  dataType: 'float' | 'int64',
): PortInfo => ({ name, dataType, dims });

async function collect(samples: AsyncIterable<Sample>): Promise<Sample[]> {
  const all: Sample[] = [];
  for await (const sample of samples) all.push(sample);
  return all;
}

describe('CSV', () => {
  it('parses back what RFC 4180 writes', () => {
    const field = fc.string({ unit: fc.constantFrom('a', '7', ',', '"', '\n', ' ', ';') });
    const table = fc.integer({ min: 2, max: 4 }).chain((width) =>
      fc.array(fc.array(field, { minLength: width, maxLength: width }), {
        minLength: 1,
        maxLength: 5,
      }),
    );
    fc.assert(
      fc.property(table, (rows) => {
        const quote = (value: string) => `"${value.replaceAll('"', '""')}"`;
        const text = rows.map((row) => row.map(quote).join(',')).join('\r\n');
        expect(parseCsv(text, 'x', () => false).rows).toEqual(rows);
      }),
    );
  });

  it('takes the label column out, by name or as the last text', async () => {
    const ports = [port('x', ['N', 2], 'float')];
    const headed = await openDataset(file('a.csv', 'label,a,b\n3,1,2\n\n1,4,5\n'), { ports });
    expect(await collect(headed.samples())).toEqual([
      {
        id: 'line 2',
        label: 3,
        inputs: { x: { dataType: 'float', dims: [2], data: Float32Array.of(1, 2) } },
      },
      {
        id: 'line 4',
        label: 1,
        inputs: { x: { dataType: 'float', dims: [2], data: Float32Array.of(4, 5) } },
      },
    ]);
    const bare = await openDataset(file('a.csv', '1;2;dog\n3;4;cat'), { ports });
    expect(bare.classes).toEqual(['cat', 'dog']);
    expect((await collect(bare.samples())).map(({ label }) => label)).toEqual([1, 0]);
  });

  it('feeds one number each to inputs named like columns', async () => {
    const ports = [port('age', ['N', 1], 'float'), port('size', ['N', 1], 'float')];
    const dataset = await openDataset(file('a.csv', 'size,age,y\n1,2,0\n'), { ports });
    const [sample] = await collect(dataset.samples());
    expect(sample!.inputs.age).toEqual({ dataType: 'float', dims: [1], data: Float32Array.of(2) });
  });

  it.each([
    ['a,b\n1,2\n1\n', /line 3 of the CSV has 1 fields, the first line has 2/],
    ['a,b\n1,2\n\n3,x\n', /line 4, column "b" of the CSV holds "x"/],
    ['a,b\n1,"2\n', /line 2 of the CSV opens a quote/],
    ['\n', /empty/],
    ['a,b\n', /no sample/],
  ])('refuses %j', async (text, message) => {
    await expect(openDataset(file('a.csv', text))).rejects.toThrow(message);
  });
});

describe('JSONL', () => {
  const ports = [
    port('input_ids', ['batch', 'seq'], 'int64'),
    port('attention_mask', ['batch', 'seq'], 'int64'),
  ];

  it('feeds arrays by input name, with labels; text beside them is left out', async () => {
    const text =
      '{"input_ids":[1,2],"attention_mask":[1,1],"label":2,"text":"x"}\n\n{"input_ids":[7],"attention_mask":[0]}';
    const dataset = await openDataset(file('a.jsonl', text), { ports });
    expect(dataset).toMatchObject({ size: 2, hasLabels: true });
    const samples = await collect(dataset.samples());
    expect(samples[0]).toEqual({
      id: 'line 1',
      label: 2,
      inputs: {
        input_ids: { dataType: 'int64', dims: [2], data: BigInt64Array.of(1n, 2n) },
        attention_mask: { dataType: 'int64', dims: [2], data: BigInt64Array.of(1n, 1n) },
      },
    });
    expect(samples[1]).toMatchObject({ id: 'line 3', label: undefined });
  });

  it('leaves token ids alone when the preprocessing is for the other input', async () => {
    const two = [port('input_ids', ['b', 's'], 'int64'), port('features', ['b', 2], 'float')];
    const text = '{"input_ids":[4],"features":[2,4]}';
    const [sample] = await collect(
      (
        await openDataset(file('a.jsonl', text), { ports: two, preprocess: { scale: 0.5 } })
      ).samples(),
    );
    expect(sample!.inputs.input_ids!.data).toEqual(BigInt64Array.of(4n));
    expect(sample!.inputs.features!.data).toEqual(Float32Array.of(1, 2));
  });

  it.each([
    ['{"input_ids":[1]}\n{"input_ids":[1', /line 2 .* not valid JSON/],
    ['{"input_ids":[1]}\n[1]', /line 2 .* not an object/],
    ['{"input_ids":[1]}\n{"input_ids":[[1],[2,3]]}', /line 2 .*"input_ids" that is no array/],
    ['{"input_ids":[1]}\n{"input_ids":[1],"label":-1}', /line 2 .*no class index/],
  ])('names the line of %j', async (text, message) => {
    const dataset = await openDataset(file('a.jsonl', text), { ports: ports.slice(0, 1) });
    await expect(collect(dataset.samples())).rejects.toThrow(message);
  });
});

describe('WAV', () => {
  function wav(
    samples: number[],
    { bits = 16, channels = 1, rate = 16000, tag = 1 } = {},
  ): Uint8Array {
    const bytes = new Uint8Array(44 + samples.length * 2);
    const view = new DataView(bytes.buffer);
    bytes.set(new TextEncoder().encode('RIFF....WAVEfmt '));
    view.setUint32(16, 16, true);
    view.setUint16(20, tag, true);
    view.setUint16(22, channels, true);
    view.setUint32(24, rate, true);
    view.setUint16(34, bits, true);
    bytes.set(new TextEncoder().encode('data'), 36);
    view.setUint32(40, samples.length * 2, true);
    samples.forEach((sample, i) => void view.setInt16(44 + i * 2, sample, true));
    return bytes;
  }
  const folder = (files: Record<string, Uint8Array>) => ({
    name: 'sounds',
    files: Object.entries(files).map(([path, bytes]) => ({
      path,
      open: async () => bytesSource(bytes, path),
    })),
  });

  it('reads mono and several channels', () => {
    expect(decodeWav(wav([1, -2, 32767]), 'x').tensor).toEqual({
      dataType: 'int16',
      dims: [3],
      data: Int16Array.of(1, -2, 32767),
    });
    expect(decodeWav(wav([1, 2, 3, 4], { channels: 2 }), 'x').tensor).toEqual({
      dataType: 'int16',
      dims: [2, 2],
      data: Int16Array.of(1, 3, 2, 4),
    });
  });

  it('opens a folder by class, cut to the length that the model wants', async () => {
    const files = { 'no/a.wav': wav([16384]), 'yes/b.wav': wav([1, 2, 3]) };
    const dataset = await openDataset(folder(files), {
      ports: [port('x', [1, 2], 'float')],
      preprocess: { preset: 'audio', length: 2 },
    });
    expect(dataset.classes).toEqual(['no', 'yes']);
    const [first, second] = await collect(dataset.samples());
    expect(first).toEqual({
      id: 'no/a.wav',
      label: 0,
      inputs: { x: { dataType: 'float', dims: [2], data: Float32Array.of(0.5, 0) } },
    });
    expect(second!.label).toBe(1);
  });

  it.each([
    [wav([1, 2], { bits: 8 }), /is 8-bit PCM; only 16-bit/],
    [wav([1, 2], { bits: 32, tag: 3 }), /32-bit float/],
    [wav([1, 2]).subarray(0, 46), /says 4 bytes of sound, holds 2/],
    [wav([]).subarray(0, 36), /no sound/],
    [Uint8Array.of(1, 2), /not a RIFF/],
  ])('refuses broken sound %#', (bytes, message) => {
    expect(() => decodeWav(bytes, 'x')).toThrow(message);
  });

  it('refuses a second sample rate', async () => {
    const dataset = await openDataset(
      folder({ 'a.wav': wav([1]), 'b.wav': wav([1], { rate: 8000 }) }),
    );
    await expect(collect(dataset.samples())).rejects.toThrow(
      /"b.wav" has 8000 .* "a.wav" has 16000/,
    );
  });
});
