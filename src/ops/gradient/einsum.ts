/**
 * The gradient of Einsum: for each factor an Einsum of the gradient and the other factors, which
 * gives the factor's term. Indices that only this factor has were summed over, so the gradient is
 * repeated along them; an index that it has twice picked a diagonal, which a unit matrix restores.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { type GradientEmitter, type GradientTable, NoGradient, rule } from './rule.js';

interface Terms {
  /** One letter per axis of each factor, and of the output; ellipses are written out. */
  readonly factors: readonly string[];
  readonly output: string;
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function termsOf(g: GradientEmitter, node: Node): Terms {
  const [left = '', right] = node.string('equation').replaceAll(' ', '').split('->');
  const used = new Set(left.replaceAll(/[.,]/g, ''));
  const free = [...letters].filter((letter) => !used.has(letter));
  const terms = left.split(',');
  const hidden = terms.map((term, at) =>
    term.includes('...') ? g.rankOf(node.input(at)) - (term.length - 3) : 0,
  );
  const most = Math.max(...hidden);
  const shared = free.slice(0, most).join('');
  const factors = terms.map((term, at) => term.replace('...', shared.slice(most - hidden[at]!)));
  if (right !== undefined) return { factors, output: right.replace('...', shared) };
  const all = factors.join('');
  const once = [...used].filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter)).sort();
  return { factors, output: shared + once.join('') };
}

const einsum = rule((g, node) => {
  const terms = termsOf(g, node);
  return node.inputs.map((_, index) => () => factorGradient(g, node, terms, index));
});

function factorGradient(
  g: GradientEmitter,
  node: Node,
  { factors, output }: Terms,
  index: number,
): Value {
  const x = node.input(index);
  const term = factors[index]!;
  const others = factors.flatMap((_, at) => (at === index ? [] : [at]));
  const operands: Value[] = [g.grad(), ...others.map((at) => g.input(at))];
  const inputs = [output, ...others.map((at) => factors[at]!)];
  // Second and later places of an index get a letter of their own, tied to the first.
  const free = [...letters].filter((letter) => !factors.join('').includes(letter));
  let result = '';
  for (const [axis, letter] of [...term].entries()) {
    if (!result.includes(letter)) {
      result += letter;
      continue;
    }
    const own = free.pop();
    const dim = x.dims?.[axis];
    if (own === undefined || typeof dim !== 'number') {
      throw new NoGradient(`the diagonal "${letter}" of a dim that is not fixed`);
    }
    result += own;
    const unit = Array.from({ length: dim * dim }, (_, at) => (at % (dim + 1) === 0 ? 1 : 0));
    operands.push(g.constant(g.type, [dim, dim], unit));
    inputs.push(letter + own);
  }
  const given = new Set(inputs.join(''));
  const kept = [...result].filter((letter) => given.has(letter)).join('');
  const sum = g.op('Einsum', operands, { equation: `${inputs.join(',')}->${kept}` });
  const missing = [...result].flatMap((letter, axis) => (given.has(letter) ? [] : [axis]));
  const wide = missing.length > 0 ? g.expandLike(g.unsqueeze(sum, missing), x) : sum;
  // Dims of an ellipsis may have been broadcast from 1.
  const ones = [...term].flatMap((letter, axis) => {
    const place = output.indexOf(letter);
    const isRepeated = place >= 0 && x.dims?.[axis] === 1 && node.output().dims?.[place] !== 1;
    return isRepeated ? [axis] : [];
  });
  return ones.length > 0 ? g.reduce('ReduceSum', wide, ones) : wide;
}

export const einsumGradients: GradientTable = Object.freeze({ Einsum: einsum });
