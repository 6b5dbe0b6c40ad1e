/**
 * Experimental operators of the first releases, removed at opset 10. Old exporters of Core ML and
 * Caffe2 wrote them; those that are plain arithmetic are spelled out.
 */
import { Tensor } from '../../../onnx/tensor.js';
import { addConstant } from '../../constant.js';
import type { Node } from '../../node.js';
import type { Value } from '../../value.js';
import { type Conversion, cannotConvert, insertBefore, replaceNode } from '../conversion.js';
import { elementTypeOf } from '../element-type.js';

type Build = (
  node: Node,
  constant: (numbers: readonly number[], dims?: number[]) => Value,
) => {
  readonly opType: string;
  readonly inputs: readonly Value[];
};

const formulas: Readonly<Record<string, Build>> = {
  Affine: (node, constant) => ({
    opType: 'Add',
    inputs: [
      insertBefore(node, 'Mul', [node.input(0), constant([node.float('alpha', 1)])]),
      constant([node.float('beta', 0)]),
    ],
  }),
  ImageScaler: (node, constant) => {
    const bias = node.floats('bias', []);
    const scaled = insertBefore(node, 'Mul', [node.input(0), constant([node.float('scale', 1)])]);
    const dims = bias.length > 0 ? [bias.length, 1, 1] : [];
    return { opType: 'Add', inputs: [scaled, constant(bias.length > 0 ? bias : [0], dims)] };
  },
  ParametricSoftplus: (node, constant) => scaledFunction(node, 'Softplus', constant),
  Scale: (node, constant) => ({
    opType: 'Mul',
    inputs: [node.input(0), constant([node.float('scale', 1)])],
  }),
  ScaledTanh: (node, constant) => scaledFunction(node, 'Tanh', constant),
};

/** alpha * f(beta * x) */
function scaledFunction(node: Node, opType: string, constant: Parameters<Build>[1]) {
  const inner = insertBefore(node, 'Mul', [node.input(0), constant([node.float('beta')])]);
  const value = insertBefore(node, opType, [inner]);
  return { opType: 'Mul', inputs: [value, constant([node.float('alpha')])] };
}

export const experimentalChanges: readonly Conversion[] = [
  {
    op: 'MeanVarianceNormalization',
    since: 9,
    convert(node) {
      throw cannotConvert(node, 'it is the experimental version, whose axes no document defines');
    },
  },
  ...Object.entries(formulas).map(
    ([op, build]): Conversion => ({
      op,
      since: 10,
      reads: ['alpha', 'beta', 'scale', 'bias'],
      needs: 'type',
      convert(node) {
        const dataType = elementTypeOf(node.input(0));
        if (!dataType) {
          throw cannotConvert(node, `the element type of "${node.input(0).name}" is not known`);
        }
        const { opType, inputs } = build(node, (numbers, dims = []) =>
          addConstant(node, `${node.label}_constant`, Tensor.of(dataType, dims, numbers)),
        );
        replaceNode(node, opType, inputs);
        return 'spelled out in arithmetic';
      },
    }),
  ),
];
