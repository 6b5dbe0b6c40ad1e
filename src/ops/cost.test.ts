import { describe, expect, test } from 'vitest';
import type { AttributeInput } from '../graph/attribute.js';
import { Graph } from '../graph/graph.js';
import type { DataType } from '../onnx/data-type.js';
import { bytesMovedBy, type ConcreteType, countNodeMacs, macsOf } from './cost.js';

type Dims = readonly number[];

/** A node with inputs and outputs of these dims (undefined: left out), all of one data type. */
function nodeOf(
  op: string,
  inputs: readonly (Dims | undefined)[],
  outputs: readonly Dims[],
  attributes: Record<string, AttributeInput> = {},
  dataType: DataType = 'float',
) {
  const graph = new Graph();
  const types = new Map<string, ConcreteType>();
  const values = inputs.map((dims, at) => {
    if (!dims) return undefined;
    types.set(`in${at}`, { dataType, dims });
    return graph.addInput(`in${at}`);
  });
  outputs.forEach((dims, at) => {
    types.set(`out${at}`, { dataType, dims });
  });
  const [opType, domain = ''] = op.split(':').reverse() as [string, string?];
  const node = graph.addNode({
    opType,
    domain,
    inputs: values,
    outputs: outputs.map((_, at) => `out${at}`),
    attributes,
  });
  return { node, types: ({ name }: { name: string }) => types.get(name) };
}

const macs = (...args: Parameters<typeof nodeOf>) => {
  const { node, types } = nodeOf(...args);
  return macsOf(node, types);
};

describe('convolutions', () => {
  test('the stem of a ResNet', () => {
    expect(
      macs(
        'Conv',
        [
          [1, 3, 224, 224],
          [64, 3, 7, 7],
        ],
        [[1, 64, 112, 112]],
      ),
    ).toBe(118_013_952);
  });

  test('depthwise: the weight has one channel', () => {
    const dims = [1, 32, 10, 10];
    expect(macs('Conv', [dims, [32, 1, 3, 3]], [dims], { group: 32 })).toBe(32 * 100 * 9);
  });

  test('transposed: every input element is spread', () => {
    expect(
      macs(
        'ConvTranspose',
        [
          [2, 8, 5, 5],
          [8, 4, 2, 2],
        ],
        [[2, 4, 10, 10]],
        { strides: [2, 2] },
      ),
    ).toBe(2 * 8 * 25 * 4 * 4);
  });

  test('quantized forms keep the weight elsewhere', () => {
    const [x, w, y] = [
      [1, 3, 8, 8],
      [4, 3, 3, 3],
      [1, 4, 6, 6],
    ] as const;
    const expected = 4 * 36 * 27;
    expect(macs('QLinearConv', [x, [], [], w, [], [], [], []], [y])).toBe(expected);
    expect(macs('ConvInteger', [x, w], [y])).toBe(expected);
    expect(macs('com.microsoft:FusedConv', [x, w], [y])).toBe(expected);
  });
});

describe('matrix products', () => {
  test.each([
    [
      'MatMul',
      [
        [7, 5, 3],
        [3, 4],
      ],
      [7, 5, 4],
      {},
      7 * 5 * 4 * 3,
    ],
    ['MatMul', [[3], [3]], [], {}, 3],
    [
      'Gemm',
      [
        [3, 5],
        [3, 4],
      ],
      [5, 4],
      { transA: 1 },
      60,
    ],
    [
      'Gemm',
      [
        [5, 3],
        [4, 3],
      ],
      [5, 4],
      { transB: 1 },
      60,
    ],
    [
      'MatMulInteger',
      [
        [5, 3],
        [3, 4],
      ],
      [5, 4],
      {},
      60,
    ],
    [
      'com.microsoft:FusedMatMul',
      [
        [2, 3, 5],
        [2, 3, 4],
      ],
      [2, 5, 4],
      { transA: 1 },
      120,
    ],
    [
      'com.microsoft:MatMulNBits',
      [
        [5, 64],
        [8, 2, 16],
      ],
      [5, 8],
      { K: 64, N: 8 },
      2560,
    ],
    ['com.microsoft:QGemm', [[5, 3], [], [], [4, 3]], [5, 4], { transB: 1 }, 60],
    [
      'com.microsoft:DynamicQuantizeMatMul',
      [
        [5, 3],
        [3, 4],
      ],
      [5, 4],
      {},
      60,
    ],
  ] as const)('%s of %j', (op, inputs, output, attributes, expected) => {
    expect(macs(op, inputs, [output], attributes)).toBe(expected);
  });
});

describe('Einsum', () => {
  test.each([
    [
      'bhid,bhjd->bhij',
      [
        [2, 3, 4, 5],
        [2, 3, 6, 5],
      ],
      2 * 3 * 4 * 6 * 5,
    ],
    [
      'ij,jk',
      [
        [2, 3],
        [3, 4],
      ],
      24,
    ],
    [
      '...ij,...jk->...ik',
      [
        [7, 2, 3],
        [1, 3, 4],
      ],
      7 * 24,
    ],
    // An outer and an element-wise product sum over nothing; neither does a transposition.
    ['i,j->ij', [[5], [6]], 0],
    [
      'ij,ij->ij',
      [
        [5, 6],
        [5, 6],
      ],
      0,
    ],
    ['ij->ji', [[5, 6]], 0],
    // From left to right: [2,3]x[3,4], then [2,4]x[4,5].
    [
      'ij,jk,kl->il',
      [
        [2, 3],
        [3, 4],
        [4, 5],
      ],
      24 + 40,
    ],
  ] as const)('%s', (equation, inputs, expected) => {
    expect(macs('Einsum', inputs, [[1]], { equation })).toBe(expected);
  });
});

test('recurrent layers multiply W and R once per step and row', () => {
  const [steps, batch, inputs, hidden] = [10, 2, 3, 4];
  const dims = [
    [steps, batch, inputs],
    [2, 4 * hidden, inputs],
    [2, 4 * hidden, hidden],
  ];
  const expected = steps * batch * 2 * 4 * hidden * (inputs + hidden);
  expect(macs('LSTM', dims, [[steps, 2, batch, hidden]])).toBe(expected);
});

describe('attention', () => {
  test('of the standard, in both layouts and with a cache', () => {
    const expected = 2 * 6 * 9 * (4 * 8 + 4 * 16);
    const heads = [
      [2, 4, 6, 8],
      [2, 2, 9, 8],
      [2, 2, 9, 16],
    ];
    expect(macs('Attention', heads, [[2, 4, 6, 16]])).toBe(expected);
    const flat = [
      [2, 6, 32],
      [2, 9, 16],
      [2, 9, 32],
    ];
    const attributes = { q_num_heads: 4, kv_num_heads: 2 };
    expect(macs('Attention', flat, [[2, 6, 64]], attributes)).toBe(expected);
    const cached = [[2, 4, 6, 8], [2, 2, 3, 8], [2, 2, 3, 16], undefined, [2, 2, 6, 8]];
    expect(macs('Attention', cached, [[2, 4, 6, 16]])).toBe(expected);
  });

  test('of the runtime, with its projection', () => {
    const inputs = [
      [1, 10, 64],
      [64, 192],
    ];
    const expected = 10 * 64 * 192 + 10 * 10 * 128;
    expect(macs('com.microsoft:Attention', inputs, [[1, 10, 64]], { num_heads: 4 })).toBe(expected);
  });

  test('with several heads and grouped queries', () => {
    const three = [
      [1, 10, 64],
      [1, 12, 64],
      [1, 12, 64],
    ];
    expect(macs('com.microsoft:MultiHeadAttention', three, [[1, 10, 64]])).toBe(10 * 12 * 128);
    const grouped = [
      [1, 1, 64],
      [1, 1, 16],
      [1, 1, 16],
      [1, 2, 7, 8],
      [1, 2, 7, 8],
    ];
    expect(macs('com.microsoft:GroupQueryAttention', grouped, [[1, 1, 64]])).toBe(8 * 128);
  });
});

describe('what is not a contraction', () => {
  test('has no MACs but bytes', () => {
    const { node, types } = nodeOf('Add', [[4, 5], [5]], [[4, 5]]);
    expect(macsOf(node, types)).toBe(0);
    expect(bytesMovedBy(node, types)).toBe(4 * (20 + 5 + 20));
  });

  test('gathers read what they return, views nothing', () => {
    const gather = nodeOf('Gather', [[30_000, 8], [2]], [[2, 8]]);
    expect(bytesMovedBy(gather.node, gather.types)).toBe(4 * (2 + 16 + 16));
    const reshape = nodeOf('Reshape', [[6, 4], [2]], [[24]]);
    expect(bytesMovedBy(reshape.node, reshape.types)).toBe(0);
    const packed = nodeOf('Relu', [[5]], [[5]], {}, 'int4');
    expect(bytesMovedBy(packed.node, packed.types)).toBe(3 + 3);
  });

  test('unknown operators and shapes are told apart', () => {
    const foreign = nodeOf('acme:Warp', [[2]], [[2]]);
    expect(countNodeMacs(foreign.node, foreign.types)).toEqual({ unknown: 'operator' });
    expect(macsOf(foreign.node, foreign.types)).toBeUndefined();
    expect(bytesMovedBy(foreign.node, foreign.types)).toBe(16);
    const { node } = nodeOf(
      'MatMul',
      [
        [2, 3],
        [3, 4],
      ],
      [[2, 4]],
    );
    expect(countNodeMacs(node, () => undefined)).toEqual({ unknown: 'shape' });
    const inherited = nodeOf('toString', [[2]], [[2]]);
    expect(countNodeMacs(inherited.node, inherited.types)).toEqual({ unknown: 'operator' });
  });
});
