/**
 * Says what a file that is no ONNX model looks like instead, for the error message. Reads the
 * first bytes only. It decides nothing: a file is a model when it parses as one.
 */

interface Signature {
  readonly at: number;
  readonly bytes: string;
  readonly looksLike: string;
  readonly hint?: string;
}

const loadOriginal = 'give the .onnx file that it was made from';

/** Magic numbers, as Latin-1 text. */
const signatures: readonly Signature[] = [
  { at: 0, bytes: '\xff\xd8\xff', looksLike: 'a JPEG image' },
  { at: 0, bytes: '\x89PNG\r\n\x1a\n', looksLike: 'a PNG image' },
  { at: 0, bytes: 'GIF8', looksLike: 'a GIF image' },
  { at: 0, bytes: '%PDF-', looksLike: 'a PDF document' },
  {
    at: 0,
    bytes: 'PK\x03\x04',
    looksLike: 'a zip archive',
    hint: 'unpack it; PyTorch checkpoints (.pt, .pth) and Keras models (.keras) are zip archives too and must be exported to ONNX first',
  },
  { at: 0, bytes: '\x1f\x8b', looksLike: 'a gzip archive', hint: 'unpack it first' },
  { at: 0, bytes: 'BZh', looksLike: 'a bzip2 archive', hint: 'unpack it first' },
  { at: 0, bytes: '7z\xbc\xaf\x27\x1c', looksLike: 'a 7-Zip archive', hint: 'unpack it first' },
  { at: 0, bytes: '\xfd7zXZ\0', looksLike: 'an xz archive', hint: 'unpack it first' },
  { at: 0, bytes: '\x28\xb5\x2f\xfd', looksLike: 'a zstd archive', hint: 'unpack it first' },
  { at: 257, bytes: 'ustar', looksLike: 'a tar archive', hint: 'unpack it first' },
  { at: 0, bytes: '\x93NUMPY', looksLike: 'a NumPy array (.npy)' },
  {
    at: 0,
    bytes: '\x89HDF\r\n\x1a\n',
    looksLike: 'an HDF5 file',
    hint: 'export the model to ONNX',
  },
  { at: 0, bytes: 'GGUF', looksLike: 'a GGUF model', hint: 'export the model to ONNX' },
  { at: 0, bytes: '\x7fELF', looksLike: 'a program' },
  { at: 0, bytes: 'MZ', looksLike: 'a Windows program' },
  { at: 4, bytes: 'ORTM', looksLike: 'a model in ORT format', hint: loadOriginal },
  { at: 4, bytes: 'TFL3', looksLike: 'a TensorFlow Lite model', hint: 'export the model to ONNX' },
  { at: 8, bytes: '{"', looksLike: 'a safetensors file', hint: 'export the model to ONNX' },
  { at: 0, bytes: 'RIFF', looksLike: 'a RIFF file (WebP, WAV)' },
  {
    at: 0,
    bytes: 'version https://git-lfs.github.com/spec/',
    looksLike: 'a Git LFS pointer, not the model itself',
    hint: 'fetch the model with: git lfs pull',
  },
];

export interface FileKind {
  readonly looksLike: string;
  readonly hint?: string | undefined;
}

/** Undefined when nothing is recognised. */
export function recognizeFile(bytes: Uint8Array): FileKind | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 512));
  const found = signatures.find(({ at, bytes: magic }) => head.startsWith(magic, at));
  if (found) return found;
  if (bytes.length > 0 && /^\0*$/.test(head)) return { looksLike: 'zeros only' };
  if (!isText(bytes.subarray(0, 512))) return undefined;
  const text = head.replace(/^\xef\xbb\xbf/, '').trimStart();
  if (/^<(!doctype html|html|head|body)/i.test(text)) {
    return {
      looksLike: 'an HTML page',
      hint: 'a download that needs a login or a moved address often ends as a page; fetch the file again',
    };
  }
  if (/^<\?xml|^<svg/i.test(text)) return { looksLike: 'an XML file' };
  if (/^[[{]/.test(text)) return { looksLike: 'a JSON file' };
  return { looksLike: 'a text file' };
}

/** Printable text in UTF-8 or Latin-1: no control bytes but tab, line feed, carriage return. */
function isText(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return false;
  return bytes.every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
}
