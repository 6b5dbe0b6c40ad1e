/**
 * Operators that multiply rows with a matrix of weights, y = factor · x W: where W is, and whether
 * it is stored transposed. Source: the ONNX specification of MatMul and Gemm.
 */
import type { Node } from '../graph/node.js';

export interface MatrixProduct {
  /** Positions of the rows and of the matrix among the inputs. */
  readonly rows: number;
  readonly matrix: number;
  /** The matrix is stored as [out, in] instead of [in, out]. */
  readonly transposed: boolean;
  readonly factor: number;
}

const products: Readonly<Record<string, (node: Node) => MatrixProduct | string>> = Object.freeze({
  MatMul: () => ({ rows: 0, matrix: 1, transposed: false, factor: 1 }),
  Gemm: (node) => {
    if (node.int('transA', 0) === 1) return 'its rows are stored as columns (transA)';
    const transposed = node.int('transB', 0) === 1;
    return { rows: 0, matrix: 1, transposed, factor: node.float('alpha', 1) };
  },
});

/** The product that a node is; a reason where it is one of another form; undefined for others. */
export function matrixProductOf(node: Node): MatrixProduct | string | undefined {
  return products[node.op]?.(node);
}
