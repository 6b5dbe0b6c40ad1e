/**
 * How small a stream of bytes becomes, without keeping it. gzip is in every runtime; other codecs
 * are given from outside (node-compress.ts), so that the core runs in the browser.
 */

/** Takes a file in pieces and tells how many bytes its compressed form has. */
export interface ByteCounter {
  write(bytes: Uint8Array): Promise<void>;
  /** The size; call it once, at the end. */
  end(): Promise<number>;
}

/** Small enough that a codec never buffers much, large enough that calls do not count. */
const pieceBytes = 1 << 20;

/** gzip at the level of the platform's CompressionStream, 6. */
export function gzipCounter(): ByteCounter {
  const { readable, writable } = new CompressionStream('gzip');
  const writer = writable.getWriter();
  const total = count(readable as ReadableStream<Uint8Array>);
  // A failing codec rejects here and at the write; it is reported at the write or the end.
  total.catch(() => {});
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
        // A copy: memory that is shared between threads is not accepted.
        await writer.write(Uint8Array.from(bytes.subarray(at, at + pieceBytes)));
      }
    },
    async end() {
      await writer.close();
      return await total;
    },
  };
}

async function count(stream: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0;
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    bytes += next.value.byteLength;
  }
  return bytes;
}
