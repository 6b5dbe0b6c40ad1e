/**
 * Lays tensors out in external data files and streams the files. Nothing is read before a file
 * is written, and then in pieces, so that weights larger than memory pass through.
 */
import { PareError } from '../errors.js';
import { pieces } from './pieces.js';
import type { Tensor } from './tensor.js';

/** One data file: written by whoever asked for it, from the pieces of `parts()`. */
export interface ExternalFile {
  /** Relative to the folder of the model. */
  readonly location: string;
  readonly byteLength: number;
  /** The content in order, at most 64 MB a piece. Can be called again. */
  readonly parts: () => AsyncIterable<Uint8Array>;
}

export interface Placement {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export interface LayoutOptions {
  readonly location: string;
  readonly alignment: number;
  readonly maxFileBytes: number;
}

/** Tensors smaller than the alignment only need what vector instructions like. */
const smallAlignment = 64;

interface DataFile {
  readonly location: string;
  readonly tensors: { readonly tensor: Tensor; readonly offset: number }[];
  byteLength: number;
}

/** Decides in which file and at which offset tensors go, in the order of the calls. */
export class ExternalLayout {
  readonly #options: LayoutOptions;
  readonly #files: DataFile[] = [];
  readonly #placed = new Map<object, Map<string, Placement>>();

  constructor(options: LayoutOptions) {
    this.#options = options;
  }

  /** Content that was placed before, by the same or another tensor, is stored once. */
  place(tensor: Tensor): Placement {
    const { owner, range } = identityOf(tensor);
    const known = this.#placed.get(owner)?.get(range);
    if (known) return known;
    const placement = this.#append(tensor);
    const ranges = this.#placed.get(owner) ?? new Map<string, Placement>();
    this.#placed.set(owner, ranges.set(range, placement));
    return placement;
  }

  files(): ExternalFile[] {
    return this.#files.map((file) => ({
      location: file.location,
      byteLength: file.byteLength,
      parts: () => stream(file),
    }));
  }

  #append(tensor: Tensor): Placement {
    const { alignment, maxFileBytes } = this.#options;
    const length = tensor.byteLength;
    const step = length < alignment ? Math.min(alignment, smallAlignment) : alignment;
    const roundUp = (bytes: number) => Math.ceil(bytes / step) * step;
    let file = this.#files.at(-1);
    if (!file || (file.byteLength > 0 && roundUp(file.byteLength) + length > maxFileBytes)) {
      file = { location: this.#nextLocation(), tensors: [], byteLength: 0 };
      this.#files.push(file);
    }
    const offset = roundUp(file.byteLength);
    file.tensors.push({ tensor, offset });
    file.byteLength = offset + length;
    return { location: file.location, offset, length };
  }

  #nextLocation(): string {
    const number = this.#files.length;
    return number === 0 ? this.#options.location : `${this.#options.location}_${number}`;
  }
}

/** What makes two contents the same bytes: the buffer or source, and the range in it. */
function identityOf({ content }: Tensor): { owner: object; range: string } {
  if (content.kind === 'range') {
    return { owner: content.source, range: `${content.offset}+${content.byteLength}` };
  }
  if (content.kind === 'bytes') {
    const { buffer, byteOffset, byteLength } = content.bytes;
    return { owner: buffer, range: `${byteOffset}+${byteLength}` };
  }
  throw new PareError('unsupported', 'external data: strings stay in the model file');
}

async function* stream(file: DataFile): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const { tensor, offset } of file.tensors) {
    if (offset > at) yield new Uint8Array(offset - at);
    yield* pieces(tensor);
    at = offset + tensor.byteLength;
  }
}
