/**
 * The text of tokens by their ids, for people to read: out of a JSON list of pieces, a JSON object
 * of ids by piece (vocab.json), or a tokenizer.json of Hugging Face. Decodes single pieces only;
 * nothing here turns text into ids.
 */
import { messageOf, PareError } from '../errors.js';

/** Piece by id; ids may be missing. */
export type Vocabulary = ReadonlyMap<number, string>;

/**
 * @throws PareError `invalid-data` for text that is none of the three forms
 * @example parseVocabulary('["<unk>", "▁the"]').get(1) // ' the'
 */
export function parseVocabulary(text: string, file: string): Vocabulary {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new PareError('invalid-data', `vocabulary: no JSON: ${messageOf(cause)}`, {
      file,
      cause,
    });
  }
  const pieces = new Map(entriesOf(document).map(([id, piece]) => [id, readable(piece)]));
  if (pieces.size > 0) return pieces;
  throw new PareError('invalid-data', 'vocabulary: no tokens are in it', {
    file,
    hint: 'a list of pieces, an object of ids by piece, or a tokenizer.json',
  });
}

type Entry = readonly [id: number, piece: string];

function entriesOf(document: unknown): Entry[] {
  if (Array.isArray(document)) {
    // Unigram models keep a score beside each piece.
    return document.flatMap((each, id): Entry[] => {
      const piece: unknown = Array.isArray(each) ? each[0] : each;
      return typeof piece === 'string' ? [[id, piece]] : [];
    });
  }
  if (!isObject(document)) return [];
  const { model, added_tokens: added } = document;
  if (isObject(model) && model.vocab !== undefined) {
    return [...entriesOf(model.vocab), ...(Array.isArray(added) ? added.flatMap(addedToken) : [])];
  }
  return Object.entries(document).flatMap(([piece, id]): Entry[] =>
    typeof id === 'number' ? [[id, piece]] : [],
  );
}

function addedToken(token: unknown): Entry[] {
  if (!isObject(token)) return [];
  const { id, content } = token;
  return typeof id === 'number' && typeof content === 'string' ? [[id, content]] : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Marks of SentencePiece and of byte-level BPE for what they stand for. */
function readable(piece: string): string {
  const byte = /^<0x([0-9A-F]{2})>$/i.exec(piece);
  if (byte) {
    const code = Number.parseInt(byte[1]!, 16);
    return code < 128 ? String.fromCharCode(code) : piece;
  }
  return piece.replace(/[▁Ġ]/g, ' ').replace(/Ċ/g, '\n').replace(/ĉ/g, '\t');
}
