/**
 * A report with every part, for tests: small, made up, and with names that would be markup. Its
 * explanation comes through the same conversion as a real one.
 */
import { explanationPart } from './build/explanation.js';
import type { Rate } from './data/common.js';
import type { Report } from './data/report.js';
import { hostile, smallExplanation } from './test-explanation.js';

export { hostile };

const rate = (count: number, n: number): Rate => ({
  count,
  n,
  share: count / n,
  interval: [count / n - 0.01, Math.min(1, count / n + 0.01)],
});

const counts = (peak: number) =>
  Array.from({ length: 32 }, (_, at) => Math.round(peak * Math.exp(-((at - 16) ** 2) / 40)));
const histogram = { low: -1.5, high: 1.25, counts: counts(400) };
const grid = {
  type: 'int8',
  step: 0.011,
  stepRange: [0.009, 0.013] as [number, number],
  low: -1.4,
  high: 1.4,
  scales: 1,
};
const agreement = { snrDb: 31.25, exact: false };
/** One black pixel as a PNG. */
const pixel =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==';

export function fullReport(): Report {
  return {
    schema: 1,
    kind: 'pare report',
    title: `net.onnx → ${hostile}`,
    provenance: {
      pare: '0.0.0',
      created: '2026-01-02T03:04:05.000Z',
      command: 'optimize',
      call: `pare optimize net.onnx --data '${hostile}'`,
      seed: 0,
      engine: { name: 'onnxruntime-node', version: '1.0.0' },
      machine: {
        cpu: 'Some CPU',
        cores: 2,
        memoryBytes: 8e9,
        os: 'linux 6.0',
        arch: 'x64',
        node: 'v20.0.0',
        vnni: true,
      },
      data: {
        path: hostile,
        size: 1000,
        fingerprint: 'ab'.repeat(32),
        preprocessing: 'x * 0.00392',
      },
    },
    models: [
      {
        name: 'original',
        file: 'net.onnx',
        bytes: 1_097_531,
        gzipBytes: 1_001_234,
        brotliBytes: null,
        nodes: 69,
        parameters: 272_474,
        macs: 40_813_184,
        sha256: 'cd'.repeat(32),
      },
      {
        name: hostile,
        file: hostile,
        bytes: 325_317,
        gzipBytes: 280_111,
        brotliBytes: 270_222,
        nodes: 120,
        parameters: 272_474,
        macs: null,
        sha256: null,
      },
    ],
    summary: {
      outcome: `integers for ${hostile}`,
      figures: [
        {
          name: 'size',
          measure: 'the file',
          unit: 'bytes',
          before: { value: 1_097_531, interval: null, exact: true },
          after: { value: 325_317, interval: null, exact: true },
          spread: null,
          change: { kind: 'times', value: 3.3737, interval: null, word: 'smaller' },
          note: null,
        },
        {
          name: 'latency',
          measure: 'median of 60 runs, one thread',
          unit: 'ms',
          before: { value: 0.96, interval: [0.91, 1.2], exact: false },
          after: { value: 0.49, interval: [0.47, 0.6], exact: false },
          spread: '10th to 90th percentile',
          change: { kind: 'times', value: 1.96, interval: [1.83, 2.14], word: 'faster' },
          note: null,
        },
        {
          name: 'memory',
          measure: 'peak of a process',
          unit: 'bytes',
          before: null,
          after: null,
          spread: null,
          change: null,
          note: 'not measured',
        },
        {
          name: 'quality',
          measure: 'top-1 on 1,000 samples',
          unit: 'share',
          before: { value: 0.8106, interval: [0.79, 0.83], exact: false },
          after: { value: 0.8093, interval: [0.788, 0.829], exact: false },
          spread: '95 % interval',
          change: { kind: 'points', value: 0.13, interval: [-0.26, 0.52], word: 'lost' },
          note: '14 of 1,000 predictions changed',
        },
      ],
      promise: { text: 'at most 0.5 points lost', kept: true, broken: [] },
    },
    recipe: [
      { pass: 'simplify', options: {}, changed: 95, left: 0, notes: [] },
      {
        pass: 'static',
        options: { calibrator: 'percentile', exclude: [hostile] },
        changed: 54,
        left: 1,
        notes: [hostile],
      },
    ],
    candidates: [
      candidate('original', 'original', 1_097_531),
      candidate('static', 'chosen', 325_317),
      candidate(hostile, 'rejected', 900_000),
    ],
    evaluations: ['original', hostile].map((model, at) => ({
      model,
      task: 'classification' as const,
      samples: 1000,
      top1: rate(811 - at, 1000),
      top5: rate(980, 1000),
      nextToken: null,
      perplexity: null,
      flips: at === 0 ? null : rate(14, 1000),
      drop:
        at === 0
          ? null
          : { points: 0.1, standardError: 0.2, lost: 8, gained: 7, interval: [-0.3, 0.5] },
      agreement: at === 0 ? null : agreement,
    })),
    bench: ['original', hostile].map((model, at) => ({
      model,
      threads: 1,
      level: 'all',
      rounds: 60,
      medianMs: 0.96 / (at + 1),
      madMs: 0.01,
      p10Ms: 0.91 / (at + 1),
      p90Ms: 1.2 / (at + 1),
      minMs: 0.9 / (at + 1),
      createMs: 21.5,
      peakBytes: 61_000_000,
      speedUp: at === 0 ? null : { ratio: 1.96, interval: [1.83, 2.14] },
    })),
    size: ['original', hostile].map((model, at) => ({
      model,
      tensorBytes: 1_080_000 / (1 + 3 * at),
      items: Array.from({ length: 20 }, (_, layer) => ({
        layer: layer === 19 ? '' : layer === 3 ? hostile : `/layer${layer}/Conv`,
        op: 'Conv',
        role: layer % 5 === 4 ? 'bias' : 'weight',
        bytes: (90_000 - 4000 * layer) / (1 + 3 * at),
      })),
      byRole: [{ name: 'weight', tensors: 20, bytes: 1_000_000 / (1 + 3 * at) }],
      byType: [{ name: at === 0 ? 'float' : 'int8', tensors: 20, bytes: 1_000_000 / (1 + 3 * at) }],
    })),
    profiles: ['original', hostile].map((model, at) => ({
      model,
      runs: 20,
      threads: 1,
      totalMs: 0.9 / (at + 1),
      operators: [
        { op: at === 0 ? 'Conv' : 'QLinearConv', calls: 19, ms: 0.8 / (at + 1) },
        { op: hostile, calls: 1, ms: 0.1 / (at + 1) },
      ],
      nodes: [{ node: hostile, op: 'Conv', ms: 0.2 }],
    })),
    layers: {
      samples: 16,
      inputs: 'data',
      rows: Array.from({ length: 15 }, (_, at) => ({
        value: at === 2 ? hostile : `/layer${at}/out`,
        node: `/layer${at}`,
        op: 'Conv',
        agreement: at === 0 ? { snrDb: null, exact: true } : { snrDb: 43.5 - at, exact: false },
        maxAbsError: at * 0.01,
      })),
      firstDifferent: '/layer1/out',
      largestFall: { value: hostile, fallDb: 4.5 },
      unpaired: 2,
    },
    sensitivity: {
      samples: { nodes: 16, tradeOff: 256 },
      nodes: [
        { node: hostile, op: 'Conv', aloneSnr: 22.5, othersSnr: 31.5 },
        { node: '/b', op: 'Gemm', aloneSnr: null, othersSnr: 30.25 },
      ],
      tradeOff: [0, 1, 2].map((kept) => ({
        kept,
        bytes: 325_317 + 30_000 * kept,
        snrDb: 30 + 2 * kept,
        dropPoints: 0.13,
        flips: 0.014,
      })),
    },
    weights: Array.from({ length: 4 }, (_, at) => ({
      layer: at === 1 ? hostile : `/layer${at}/Conv`,
      op: 'Conv',
      weight: `w${at}`,
      dims: [16, 3, 3, 3],
      dimsAfter: at === 3 ? null : [16, 3, 3, 3],
      type: 'float',
      typeAfter: at === 3 ? null : 'int8',
      bytes: 1728,
      bytesAfter: at === 3 ? null : 432,
      zeros: 0,
      zerosAfter: at === 3 ? null : 0.25,
      agreement: at === 3 ? null : agreement,
      histogram,
      histogramAfter: at === 3 ? null : { ...histogram, counts: counts(380) },
      grid: at === 3 ? null : { ...grid, scales: at === 0 ? 1 : 16 },
    })),
    activations: [
      {
        value: hostile,
        node: '/layer0/Conv',
        samples: 32,
        min: -1.5,
        max: 1.25,
        zeros: 0.125,
        histogram,
        grid,
        clipped: 0.001,
      },
    ],
    widths: {
      rows: [
        { family: hostile, kind: 'channels', nodes: 3, before: 64, after: 48, left: null },
        { family: '/b', kind: 'heads', nodes: 2, before: 12, after: 12, left: 'a normalization' },
      ],
      macsBefore: 40_813_184,
      macsAfter: 28_000_000,
      parametersBefore: 272_474,
      parametersAfter: 190_000,
      proofError: 3.1e-7,
    },
    explanation: explanationPart(smallExplanation()),
    training: {
      scoreName: 'top-1',
      losses: ['distillation'],
      startScore: 0.61,
      bestScore: 0.8,
      bestEpoch: 2,
      epochs: [1, 2, 3].map((epoch) => ({
        epoch,
        loss: 1 / epoch,
        score: 0.79 + 0.01 * (epoch % 2),
        learningRate: 0.01 / epoch,
        seconds: 12.5,
      })),
      rounds: [1, 3].map((firstEpoch) => ({
        before: [`prune-structured: 16.00 % fewer MACs, ${hostile}`],
        ...{ firstEpoch, startScore: 0.61, bestScore: 0.8, bestEpoch: firstEpoch },
      })),
      trained: 40,
      frozen: [{ name: hostile, reason: 'is frozen by --freeze' }],
    },
    confusion: {
      classes: ['cat', hostile, 'frog'],
      models: ['original', hostile].map((model) => ({
        model,
        counts: [
          [90, 8, 2],
          [5, 90, 5],
          [0, 1, 99],
        ],
        pairs: [{ label: 0, predicted: 1, count: 8 }],
      })),
    },
    flips: {
      classes: ['cat', hostile, 'frog'],
      count: 14,
      samples: 1000,
      shown: [
        {
          id: hostile,
          label: 1,
          before: 1,
          after: 0,
          confidenceBefore: 0.5,
          confidenceAfter: 0.625,
          preview: { kind: 'image', url: pixel, width: 1, height: 1 },
        },
        {
          id: 'b',
          label: null,
          before: 0,
          after: 2,
          confidenceBefore: 0.5,
          confidenceAfter: 0.5,
          preview: { kind: 'curve', points: [0, 0.5, -1, 0.25] },
        },
        {
          id: 'c',
          label: 2,
          before: 2,
          after: 0,
          confidenceBefore: 0.5,
          confidenceAfter: 0.375,
          // Not of pare's making: no page shows it.
          preview: { kind: 'image', url: 'https://example.com/x.png', width: 1, height: 1 },
        },
      ],
    },
    diff: {
      equal: false,
      difference: hostile,
      interface: [
        {
          port: 'input',
          name: hostile,
          change: 'type',
          a: 'float[1]',
          b: 'uint8[1]',
          breaking: true,
        },
      ],
      head: [{ what: 'producer', a: null, b: hostile }],
      nodes: {
        unchanged: 60,
        addedCount: 1,
        removedCount: 1,
        changedCount: 1,
        added: [{ node: 'q', op: 'QuantizeLinear', inside: null }],
        removed: [{ node: hostile, op: 'Conv', inside: null }],
        changed: [{ node: 'c', op: 'Conv', now: 'd', changes: ['strides [1, 1] and [2, 2]'] }],
      },
      operators: [{ op: 'Conv', nodesA: 19, nodesB: 0, bytesA: 1_000_000, bytesB: 0 }],
    },
    skipped: {
      groups: [
        { pass: 'static', op: 'Conv', reason: hostile, nodes: ['a', hostile, 'c', 'd'], count: 4 },
      ],
      notes: [hostile, 'the memory could not be measured'],
    },
  };
}

function candidate(
  name: string,
  verdict: 'original' | 'chosen' | 'rejected',
  bytes: number,
): NonNullable<Report['candidates']>[number] {
  return {
    name,
    why: 'it is small',
    verdict,
    reasons: verdict === 'rejected' ? ['drops 1.20 points, 0.5 allowed'] : [],
    bytes,
    medianMs: 0.5,
    speedUp: verdict === 'original' ? null : 1.96,
    speedUpInterval: verdict === 'original' ? null : [1.83, 2.14],
    score: rate(811, 1000),
    dropPoints: verdict === 'original' ? null : 0.1,
    flips: verdict === 'original' ? null : rate(14, 1000),
    agreement: verdict === 'original' ? null : agreement,
  };
}
