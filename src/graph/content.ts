/**
 * The content of tensors, independent of how it is stored: as a stream of pieces, as a short
 * fingerprint, and compared. Reads a piece at a time, so lazy weights of any size pass through.
 */
import { dataTypes } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';

const pieceBytes = 1 << 22;

/** The bytes of a tensor in order; padding bits of the last byte are zero. Not for strings. */
async function* piecesOf(tensor: Tensor): AsyncGenerator<Uint8Array> {
  const { content, byteLength } = tensor;
  for (let start = 0; start < byteLength; start += pieceBytes) {
    const end = Math.min(start + pieceBytes, byteLength);
    const piece =
      content.kind === 'range'
        ? await content.source.slice(content.offset + start, content.offset + end)
        : (await tensor.bytes()).subarray(start, end);
    yield end === byteLength ? withoutPadding(tensor, piece) : piece;
  }
}

/** Files may leave anything in the bits behind the last packed element. */
function withoutPadding(tensor: Tensor, piece: Uint8Array): Uint8Array {
  const { bits } = dataTypes[tensor.dataType];
  const used = (tensor.size * bits) % 8;
  const last = piece.at(-1);
  if (used === 0 || last === undefined) return piece;
  const clean = last & ((1 << used) - 1);
  if (clean === last) return piece;
  const copy = piece.slice();
  copy[copy.length - 1] = clean;
  return copy;
}

/** FNV-1a of the content, 8 hex digits: differs whenever one byte differs. Not for security. */
export async function fingerprint(tensor: Tensor): Promise<string> {
  let hash = 0x811c9dc5;
  const add = (bytes: Uint8Array) => {
    for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  };
  if (tensor.content.kind === 'strings') {
    for (const text of tensor.content.strings) {
      add(new TextEncoder().encode(`${text.length}:`));
      add(text);
    }
  } else {
    for await (const piece of piecesOf(tensor)) add(piece);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/**
 * Index of the first element in which two tensors of the same type and dims differ, undefined
 * when none does. Bits count: NaN equals the same NaN, 0 and -0 differ.
 */
export async function firstDifference(a: Tensor, b: Tensor): Promise<number | undefined> {
  if (a === b || a.content === b.content) return undefined;
  if (a.content.kind === 'strings' && b.content.kind === 'strings') {
    const other = b.content.strings;
    const at = a.content.strings.findIndex((text, i) => differsAt(text, other[i]!) !== undefined);
    return at < 0 ? undefined : at;
  }
  const { bits } = dataTypes[a.dataType];
  const others = piecesOf(b);
  let start = 0;
  for await (const piece of piecesOf(a)) {
    const other = await others.next();
    const at = differsAt(piece, other.done ? new Uint8Array() : other.value);
    if (at !== undefined) return Math.floor(((start + at) * 8) / bits);
    start += piece.length;
  }
  return undefined;
}

function differsAt(a: Uint8Array, b: Uint8Array): number | undefined {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? undefined : length;
}
