/**
 * SHA-256 over raw data, so that a receipt can name the data it was made with. Streams: neither
 * a large file nor a large folder is held in memory.
 */
import { PareError } from '../errors.js';
import { type ByteSource, bytesSource } from '../onnx/byte-source.js';
import type { Folder } from './folder.js';
import { mapAhead } from './prefetch.js';

/** Larger files are hashed in pieces of this size: WebCrypto has no streaming digest. */
const pieceBytes = 64 * 2 ** 20;

/**
 * Hex SHA-256 of a file's bytes, as `sha256sum` prints it; above 64 MiB the SHA-256 of the
 * digests of its 64 MiB pieces.
 */
export async function fingerprintSource(source: ByteSource): Promise<string> {
  if (source.byteLength <= pieceBytes)
    return hex(await digest(await source.slice(0, source.byteLength)));
  const digests: Uint8Array[] = [];
  for (let at = 0; at < source.byteLength; at += pieceBytes) {
    const end = Math.min(source.byteLength, at + pieceBytes);
    digests.push(await digest(await source.slice(at, end)));
  }
  const list = new Uint8Array(digests.length * 32);
  digests.forEach((bytes, i) => void list.set(bytes, i * 32));
  return hex(await digest(list));
}

/** The container's fingerprint, or the SHA-256 of the lines `DIGEST  PATH\n` of the files in order. */
export async function fingerprintFolder(folder: Folder): Promise<string> {
  if (folder.container) return fingerprintSource(folder.container);
  const hashes = mapAhead(
    folder.files,
    async ({ path, open }) => `${await fingerprintSource(await open())}  ${path}\n`,
    4,
  );
  let lines = '';
  for await (const line of hashes) lines += line;
  return fingerprintSource(bytesSource(new TextEncoder().encode(lines)));
}

async function digest(bytes: Uint8Array): Promise<Uint8Array> {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) {
    throw new PareError('unsupported', 'data: this page has no WebCrypto', {
      hint: 'serve the page over https or from localhost',
    });
  }
  return new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
