import { expect, test } from 'vitest';
import { parseVocabulary } from './vocabulary.js';

test.each([
  ['a list', '["<unk>", "▁the", "<0x0A>"]'],
  ['pieces with scores', '[["<unk>", 0], ["▁the", -1.5], ["<0x0A>", -2]]'],
  ['ids by piece', '{"Ġthe": 1, "Ċ": 2, "<unk>": 0}'],
  [
    'a tokenizer.json',
    '{"added_tokens": [{"id": 0, "content": "<unk>"}], "model": {"vocab": {"Ġthe": 1, "Ċ": 2}}}',
  ],
])('%s', (_, text) => {
  const pieces = parseVocabulary(text, 'vocab.json');
  expect([0, 1, 2, 3].map((id) => pieces.get(id))).toEqual(['<unk>', ' the', '\n', undefined]);
});

test.each([
  ['{', /no JSON/],
  ['{"version": "1"}', /no tokens/],
  ['3', /no tokens/],
])('%s is refused', (text, message) => {
  expect(() => parseVocabulary(text, 'vocab.json')).toThrow(message);
});
