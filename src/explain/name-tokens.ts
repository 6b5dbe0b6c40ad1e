/**
 * Puts the text of tokens into an explanation of a language model: of those alone that occur in it,
 * since vocabularies are large. Scores and ids stay as they are.
 */
import type { Vocabulary } from '../data/vocabulary.js';
import type { Explanation } from './explanation.js';

/** The explanation itself for a model that predicts no tokens. */
export function nameTokens(explanation: Explanation, vocabulary: Vocabulary): Explanation {
  const { model, samples, connections } = explanation;
  if (model.task !== 'tokens') return explanation;
  const ids = new Set([
    ...samples.flatMap(({ preview }) => (preview?.kind === 'tokens' ? preview.ids : [])),
    ...samples.map(({ predicted }) => predicted),
    ...connections.paths.map(({ output }) => output),
  ]);
  const known = [...ids].sort((a, b) => a - b).filter((id) => vocabulary.has(id));
  const tokens = Object.fromEntries(known.map((id) => [String(id), vocabulary.get(id)!]));
  return { ...explanation, model: { ...model, tokens } };
}
