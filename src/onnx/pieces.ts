/** The content of a tensor piece by piece, so that weights larger than memory can pass through. */
import type { Tensor } from './tensor.js';

const pieceBytes = 64 * 1024 * 1024;

/** In the order of the file; strings have none. Views of what is in memory already. */
export async function* pieces({ content }: Tensor): AsyncGenerator<Uint8Array> {
  if (content.kind === 'strings') return;
  for (let at = 0; ; at += pieceBytes) {
    const total = content.kind === 'bytes' ? content.bytes.byteLength : content.byteLength;
    if (at >= total) return;
    const end = Math.min(at + pieceBytes, total);
    yield content.kind === 'bytes'
      ? content.bytes.subarray(at, end)
      : await content.source.slice(content.offset + at, content.offset + end);
  }
}
