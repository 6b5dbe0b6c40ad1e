/**
 * Unpacks deflate and gzip with a limit that is known beforehand, so that a small hostile file
 * cannot fill the memory. Checks lengths and CRC-32. Knows no archive format.
 */
import { Gunzip, Inflate } from 'fflate';
import { messageOf, PareError } from '../errors.js';

/** Deflate cannot expand more than this; a file that claims to is lying. */
export const maxDeflateRatio = 1032;

/** Packed bytes are handed over in pieces, so that the output can be checked between them. */
const pieceBytes = 1 << 16;

/**
 * Unpacks raw deflate to exactly `length` bytes. Throws `invalid-data` when the stream is
 * broken, or holds more or fewer bytes, or `length` is more than deflate can reach.
 */
export function inflateExactly(packed: Uint8Array, length: number, file: string): Uint8Array {
  if (length > (packed.length + 64) * maxDeflateRatio) {
    throw invalid(`claims ${length} bytes out of ${packed.length} packed ones`, file);
  }
  const out = new Uint8Array(length);
  let at = 0;
  const stream = new Inflate((chunk) => {
    if (at + chunk.length > length)
      throw invalid(`holds more than the ${length} bytes it claims`, file);
    out.set(chunk, at);
    at += chunk.length;
  });
  pushAll(stream, packed, file);
  if (at !== length) throw invalid(`holds ${at} bytes, not the ${length} it claims`, file);
  return out;
}

/** Unpacks a gzip file (one member or several). Throws `invalid-data` when it is broken or cut. */
export function gunzip(packed: Uint8Array, file: string): Uint8Array {
  if (packed.length < 18) throw invalid(`is a gzip file of only ${packed.length} bytes`, file);
  const chunks: Uint8Array[] = [];
  let length = 0;
  let members = 0;
  const stream = new Gunzip((chunk) => {
    chunks.push(chunk);
    length += chunk.length;
  });
  stream.onmember = () => members++;
  pushAll(stream, packed, file);
  const out = concat(chunks, length);
  if (members <= 1) {
    const end = new DataView(packed.buffer, packed.byteOffset + packed.length - 8, 8);
    const claimed = end.getUint32(4, true);
    if (length % 2 ** 32 !== claimed) {
      throw invalid(`holds ${length} bytes, its end says ${claimed}: cut short?`, file);
    }
    checkCrc32(out, end.getUint32(0, true), file);
  }
  return out;
}

function pushAll(stream: Inflate | Gunzip, packed: Uint8Array, file: string): void {
  try {
    for (let at = 0; ; at += pieceBytes) {
      const end = Math.min(packed.length, at + pieceBytes);
      stream.push(packed.subarray(at, end), end === packed.length);
      if (end === packed.length) return;
    }
  } catch (cause) {
    if (cause instanceof PareError) throw cause;
    throw new PareError('invalid-data', `data: packed bytes are broken: ${messageOf(cause)}`, {
      file,
      cause,
    });
  }
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** Throws `invalid-data` when the CRC-32 (polynomial 0xEDB88320, as zip and gzip) differs. */
export function checkCrc32(bytes: Uint8Array, expected: number, file: string): void {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = crcTable[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
  const actual = (crc ^ 0xffffffff) >>> 0;
  if (actual !== expected) {
    const hex = (x: number) => x.toString(16).padStart(8, '0');
    throw invalid(`is damaged: CRC-32 is ${hex(actual)}, should be ${hex(expected)}`, file);
  }
}

function invalid(what: string, file: string): PareError {
  return new PareError('invalid-data', `data: packed content ${what}`, { file });
}
