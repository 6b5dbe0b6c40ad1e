/**
 * Reads zip files by range: the directory at the end first, then one entry when it is asked for.
 * Stored and deflated entries, Zip64. No encryption, no parts over several files, no writing.
 * Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (sections 4.3 and 4.5.3).
 */
import { PareError } from '../errors.js';
import { type ByteSource, bytesSource } from '../onnx/byte-source.js';
import type { FolderFile } from './folder.js';
import { checkCrc32, inflateExactly } from './inflate.js';

export interface ZipEntry extends FolderFile {
  /** Size in bytes after unpacking, as the directory says. */
  readonly byteLength: number;
}

interface Entry {
  readonly path: string;
  readonly method: number;
  readonly flags: number;
  readonly crc: number;
  readonly packed: number;
  readonly unpacked: number;
  readonly headerAt: number;
}

const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;
/** The end record is 22 bytes and a comment of at most 65535. */
const endSearch = 22 + 65535;

/**
 * The files of a zip, directories left out. Opening a stored entry reads nothing; opening a
 * deflated one unpacks it into memory and checks its CRC-32. Throws `invalid-data`.
 */
export async function readZip(source: ByteSource): Promise<ZipEntry[]> {
  const { count, at, size } = await findDirectory(source);
  const bytes = await source.slice(at, at + size);
  const entries: ZipEntry[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    if (offset + 46 > bytes.length) throw invalid(source, `lists ${count} files, holds ${i}`);
    const { entry, length } = readEntry(bytes, offset, source);
    offset += length;
    if (entry.path.endsWith('/')) continue;
    entries.push({
      path: entry.path,
      byteLength: entry.unpacked,
      open: () => openEntry(source, entry),
    });
  }
  return entries;
}

async function findDirectory(source: ByteSource) {
  const tailAt = Math.max(0, source.byteLength - endSearch);
  const tail = viewOf(await source.slice(tailAt, source.byteLength));
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== endSignature) end--;
  if (end < 0) throw invalid(source, 'has no directory at its end: cut short?');
  let count = tail.getUint16(end + 10, true);
  let size = tail.getUint32(end + 12, true);
  let at = tail.getUint32(end + 16, true);
  const needs64 = count === 0xffff || size === 0xffffffff || at === 0xffffffff;
  if (needs64 && end >= 20 && tail.getUint32(end - 20, true) === 0x07064b50) {
    const recordAt = Number(tail.getBigUint64(end - 12, true));
    if (recordAt + 56 > source.byteLength) throw invalid(source, 'has a broken Zip64 record');
    const record = viewOf(await source.slice(recordAt, recordAt + 56));
    if (record.getUint32(0, true) !== end64Signature) {
      throw invalid(source, 'has a broken Zip64 record');
    }
    count = Number(record.getBigUint64(32, true));
    size = Number(record.getBigUint64(40, true));
    at = Number(record.getBigUint64(48, true));
  }
  if (at + size > source.byteLength || count * 46 > size) {
    throw invalid(source, `has a directory of ${size} bytes at ${at}, in ${source.byteLength}`);
  }
  return { count, at, size };
}

function readEntry(bytes: Uint8Array, at: number, source: ByteSource) {
  const view = viewOf(bytes);
  if (view.getUint32(at, true) !== entrySignature) throw invalid(source, 'has a broken directory');
  const nameLength = view.getUint16(at + 28, true);
  const extraLength = view.getUint16(at + 30, true);
  const length = 46 + nameLength + extraLength + view.getUint16(at + 32, true);
  if (at + length > bytes.length) throw invalid(source, 'has a broken directory');
  const extraAt = at + 46 + nameLength;
  // Zip64: fields that overflow are 0xffffffff here and stand in the extra field, in this order.
  const wide = zip64Fields(view, extraAt, extraAt + extraLength);
  const field = (offset: number) => {
    const value = view.getUint32(offset, true);
    return value === 0xffffffff ? (wide.shift() ?? value) : value;
  };
  const unpacked = field(at + 24);
  const packed = field(at + 20);
  const entry: Entry = {
    path: new TextDecoder()
      .decode(bytes.subarray(at + 46, extraAt))
      .replaceAll('\\', '/')
      .replace(/^(\.?\/)+/, ''),
    flags: view.getUint16(at + 8, true),
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packed,
    unpacked,
    headerAt: field(at + 42),
  };
  return { entry, length };
}

function zip64Fields(view: DataView, from: number, to: number): number[] {
  for (let at = from; at + 4 <= to; ) {
    const size = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === 1) {
      const count = Math.min(3, Math.floor(Math.min(size, to - at - 4) / 8));
      return Array.from({ length: count }, (_, i) =>
        Number(view.getBigUint64(at + 4 + i * 8, true)),
      );
    }
    at += 4 + size;
  }
  return [];
}

async function openEntry(source: ByteSource, entry: Entry): Promise<ByteSource> {
  const name = `${source.name}/${entry.path}`;
  if (entry.flags & 1) throw invalid(source, `holds "${entry.path}" encrypted`);
  if (entry.method !== 0 && entry.method !== 8) {
    throw invalid(
      source,
      `holds "${entry.path}" packed by method ${entry.method}; only deflate and stored can be read`,
    );
  }
  const broken = () => invalid(source, `says "${entry.path}" is where it is not: cut short?`);
  if (entry.headerAt + 30 > source.byteLength) throw broken();
  const header = viewOf(await source.slice(entry.headerAt, entry.headerAt + 30));
  if (header.getUint32(0, true) !== localSignature) throw broken();
  const at = entry.headerAt + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (at + entry.packed > source.byteLength) throw broken();
  if (entry.method === 0) {
    if (entry.packed !== entry.unpacked) throw broken();
    return subSource(source, at, entry.packed, name);
  }
  const bytes = inflateExactly(await source.slice(at, at + entry.packed), entry.unpacked, name);
  checkCrc32(bytes, entry.crc, name);
  return bytesSource(bytes, name);
}

/** A part of a source as a source: stored arrays are read row by row without unpacking. */
function subSource(source: ByteSource, at: number, byteLength: number, name: string): ByteSource {
  return {
    name,
    byteLength,
    memory: source.memory?.subarray(at, at + byteLength),
    async slice(start, end) {
      if (!(start >= 0 && start <= end && end <= byteLength)) {
        throw new PareError('io', `read: bytes ${start} to ${end} of ${byteLength}`, {
          file: name,
        });
      }
      return source.slice(at + start, at + end);
    },
  };
}

const viewOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function invalid(source: ByteSource, what: string): PareError {
  return new PareError('invalid-data', `data: the zip file ${what}`, { file: source.name });
}
