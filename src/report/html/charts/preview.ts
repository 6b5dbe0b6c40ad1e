/** A sample as a small picture, and where in it something is. */
import type { ExemplarData } from '../../data/explanation.js';
import type { Preview } from '../../data/quality.js';
import { type Html, html } from '../markup.js';

/** Only pictures that pare has made are data URLs of this form. */
const safeUrl = /^data:image\/png;base64,[A-Za-z0-9+/=]+$/;

/** @param at where to put a mark, as shares: across and down of a picture, along a signal */
export function previewPicture(
  preview: Preview,
  label: string,
  at: readonly number[] | null = null,
): Html {
  if (preview.kind === 'image' && safeUrl.test(preview.url)) {
    const { url, width, height } = preview;
    const image = html`<img class="sample" src="${url}" width="${width}" height="${height}" alt="${label}">`;
    return at?.length === 2 ? marked(image, at, preview) : image;
  }
  if (preview.kind === 'wave') {
    const { low, high } = preview;
    const step = 100 / Math.max(1, high.length - 1);
    // Half a pixel at least, so that silence is seen.
    const edge = (values: readonly number[], by: number) =>
      values.map((y, i) => `${round(i * step)},${round(20 - 18 * y + by)}`);
    const outline = [...edge(high, -0.5), ...edge(low, 0.5).reverse()].join(' ');
    return html`<svg class="sample curve wave" role="img" aria-label="${label}" viewBox="0 0 100 40" preserveAspectRatio="none"><polygon points="${outline}"></polygon>${
      at?.length === 1 && html`<path class="place" d="M${round(100 * at[0]!)} 0V40"></path>`
    }</svg>`;
  }
  if (preview.kind === 'curve') {
    const step = 100 / Math.max(1, preview.points.length - 1);
    const points = preview.points.map((y, i) => `${round(i * step)},${round(20 - 18 * y)}`);
    return html`<svg class="sample curve" role="img" aria-label="${label}" viewBox="0 0 100 40" preserveAspectRatio="none"><polyline points="${points.join(' ')}"></polyline></svg>`;
  }
  if (preview.kind === 'text') return html`<span class="sample words">${preview.text}</span>`;
  return html`<span class="sample none">no picture</span>`;
}

/** A token with the text around it. */
export function inContext({ before, token, after }: NonNullable<ExemplarData['context']>): Html {
  return html`<span class="context">${before}<mark>${token}</mark>${after}</span>`;
}

/** A ring; pictures that are no squares are letterboxed into one, and the ring with them. */
function marked(image: Html, at: readonly number[], size: { width: number; height: number }): Html {
  const side = Math.max(size.width, size.height);
  const place = (share: number, length: number) =>
    `${round(100 * (0.5 + ((share - 0.5) * length) / side))}%`;
  return html`<span class="marked">${image}<i style="left: ${place(at[0]!, size.width)}; top: ${place(at[1]!, size.height)}"></i></span>`;
}

const round = (value: number) => Math.round(value * 10) / 10;
