/**
 * Softmax, LogSoftmax and Hardmax at opset 13: before, all dims from `axis` on were taken as one
 * (a matrix, normalized by rows; default axis 1); since then only the dim at `axis` (default -1).
 * The two agree when at most one of the dims from `axis` on differs from 1. Otherwise the matrix
 * is made explicit by Flatten, and a Reshape to the shape of the input undoes it.
 */
import type { Node } from '../../node.js';
import { appendAfter, type Conversion, insertBefore, rowsFor } from '../conversion.js';

export const softmaxChanges: readonly Conversion[] = rowsFor(['Softmax', 'LogSoftmax', 'Hardmax'], {
  since: 13,
  reads: ['axis'],
  needs: 'rank',
  convert(node) {
    const axis = node.int('axis', 1);
    const single = soleAxis(node, axis);
    if (single !== undefined) {
      node.setAttribute('axis', single);
      return `the dims from axis ${axis} on are those of axis ${single} alone`;
    }
    const input = node.input(0);
    const shape = insertBefore(node, 'Shape', [input]);
    node.setInput(0, insertBefore(node, 'Flatten', [input], { axis }));
    node.setAttribute('axis', -1);
    appendAfter(node, 'Reshape', [shape]);
    return `the dims from axis ${axis} on are flattened, and reshaped back`;
  },
});

/** The one axis among those from `axis` on whose dim may differ from 1, if there is only one. */
function soleAxis(node: Node, axis: number): number | undefined {
  if (axis === -1) return -1;
  const dims = node.input(0).dims ?? node.output().dims;
  if (!dims) return undefined;
  const first = axis < 0 ? axis + dims.length : axis;
  const wide = dims.flatMap((dim, at) => (at >= first && dim !== 1 ? [at] : []));
  return wide.length > 1 ? undefined : (wide[0] ?? first);
}
