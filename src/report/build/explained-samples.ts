/**
 * The samples of an explanation as a page shows them: each once, small, and what excites a unit in
 * its place. Converts, measures nothing.
 */
import { picture } from '../../data/preview.js';
import type {
  Exemplar,
  Explanation,
  InputAttribution,
  LayerExplanation,
  Preview as Shown,
} from '../../explain/explanation.js';
import type { ExemplarData, ExplanationData } from '../data/explanation.js';
import type { Preview } from '../data/quality.js';

export function exemplarOf(
  { sample, value, place }: Exemplar,
  { positions }: LayerExplanation,
  cards: SampleCards,
): ExemplarData {
  const sides = positions.filter((dim) => dim > 1);
  const preview = cards.card(sample)?.preview ?? null;
  const common = { sample: cards.indexOf(sample), value, at: null, context: null };
  if (preview?.kind === 'tokens' && sides.length === 1)
    return { ...common, context: cards.contextOf(preview.ids, place) };
  const rows = sides[0] ?? 1;
  const columns = sides[1] ?? 1;
  if (preview?.kind === 'image' && sides.length === 2) {
    const row = Math.floor(place / columns);
    return { ...common, at: [((place % columns) + 0.5) / columns, (row + 0.5) / rows] };
  }
  if (preview?.kind === 'signal' && sides.length === 1)
    return { ...common, at: [(place + 0.5) / rows] };
  return common;
}

/** The samples that a page refers to, each once. */
export class SampleCards {
  readonly list: ExplanationData['samples'] = [];
  readonly #explanation: Explanation;
  readonly #places = new Map<number, number>();

  constructor(explanation: Explanation) {
    this.#explanation = explanation;
  }

  readonly className = (index: number): string => {
    const { classNames } = this.#explanation.model;
    return this.#piece(index) ?? classNames?.[index] ?? String(index);
  };

  /** Ends of lines as a mark. */
  #piece(id: number): string | undefined {
    return this.#explanation.model.tokens?.[id]?.replace(/\r?\n/g, '↵').replace(/\t/g, '⇥');
  }

  idOf(sample: number): string {
    return this.card(sample)?.id ?? String(sample);
  }

  previewOf(sample: number): Preview {
    const preview = this.card(sample)?.preview ?? null;
    if (preview?.kind !== 'tokens') return pictureOf(preview);
    const rest = preview.ids.length > mostTokens ? ' ...' : '';
    return { kind: 'text', text: this.#textOf(preview.ids.slice(0, mostTokens)) + rest };
  }

  /** A token with those around it. */
  contextOf(ids: readonly number[], place: number): ExemplarData['context'] {
    if (place >= ids.length) return null;
    const start = Math.max(0, place - tokensBefore);
    const end = place + 1 + tokensAfter;
    const dots = (is: boolean) => (is ? '…' : '');
    return {
      before: dots(start > 0) + this.#textOf(ids.slice(start, place), true),
      token: this.#textOf([ids[place]!]),
      after: this.#textOf(ids.slice(place + 1, end), true) + dots(end < ids.length),
    };
  }

  /** Pieces as they follow each other; ids stand apart. */
  #textOf(ids: readonly number[], isBeside = false): string {
    if (this.#explanation.model.tokens)
      return ids.map((id) => this.#piece(id) ?? `[${id}]`).join('');
    return isBeside && ids.length > 0 ? ` ${ids.join(' ')} ` : ids.join(' ');
  }

  /** Place of a sample in the list, which it joins. */
  indexOf(sample: number): number {
    const known = this.#places.get(sample);
    if (known !== undefined) return known;
    const card = this.card(sample);
    this.#places.set(sample, this.list.length);
    return (
      this.list.push({
        id: this.idOf(sample),
        label: card?.label === null || !card ? '' : this.className(card.label),
        predicted: card ? this.className(card.predicted) : '',
        preview: this.previewOf(sample),
      }) - 1
    );
  }

  card(sample: number) {
    return this.#explanation.samples.find(({ index }) => index === sample);
  }
}

/** Of a text: from its start, and around a token. */
const mostTokens = 48;
const tokensBefore = 14;
const tokensAfter = 6;

function pictureOf(preview: Shown | null): Preview {
  if (preview === null || preview.kind === 'tokens') return { kind: 'none' };
  if (preview.kind === 'image') {
    const { width, height, channels, pixels } = preview;
    const data = Uint8Array.from(atob(pixels), (character) => character.charCodeAt(0));
    return picture({ width, height, channels, data });
  }
  const { low, high, length } = preview;
  const largest = [...low, ...high].reduce((most, each) => Math.max(most, Math.abs(each)), 0) || 1;
  const scaled = (values: readonly number[]) => values.map((value) => round(value / largest));
  return { kind: 'wave', low: scaled(low), high: scaled(high), length };
}

const round = (value: number) => Number(value.toPrecision(3));

/** Magnitudes of an attribution, channels summed: black for none, white for the largest. */
export function attributionPicture({ dims, values }: InputAttribution): Preview {
  const sides = dims.filter((dim) => dim > 1);
  const isColor = sides.length === 3 && (sides[0]! <= 4 || sides[2]! <= 4);
  const isFirst = isColor && sides[0]! <= 4;
  const channels = isColor ? (isFirst ? sides[0]! : sides[2]!) : 1;
  const [height, width] = isColor ? (isFirst ? sides.slice(1) : sides.slice(0, 2)) : sides;
  if (height === undefined || width === undefined || (!isColor && sides.length !== 2)) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    return { kind: 'curve', points: values.slice(0, 512).map((value) => round(value / largest)) };
  }
  const sums = new Float64Array(height * width);
  for (const [at, value] of values.entries()) {
    const place = isFirst ? at % sums.length : Math.floor(at / channels);
    sums[place]! += Math.abs(value);
  }
  const largest = sums.reduce((a, b) => Math.max(a, b), 0) || 1;
  const data = Uint8Array.from(sums, (sum) => Math.round((255 * sum) / largest));
  return picture({ width, height, channels: 1, data });
}
