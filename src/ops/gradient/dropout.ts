/**
 * The gradient of Dropout: in training the elements that were kept, scaled as they were; otherwise
 * everything. Which of the two a node does is an input, and must be known.
 */
import { type GradientTable, NoGradient, rule } from './rule.js';

const dropout = rule((g, node) => [
  () => {
    const mode = node.inputs[2];
    if (!mode) return g.grad();
    const content = mode.constant?.content;
    if (content?.kind !== 'bytes') throw new NoGradient('whether it is training is not constant');
    if (content.bytes[0] === 0) return g.grad();
    const ratio = node.inputs[1] ? g.cast(node.inputs[1]) : 0.5;
    const kept = g.where(g.extraOutput(1, 'mask'), g.grad(), 0);
    return g.div(kept, g.sub(1, ratio));
  },
]);

export const dropoutGradients: GradientTable = Object.freeze({ Dropout: dropout });
