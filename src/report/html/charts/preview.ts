/** Samples as small pictures, and where in them something is. */
import type { ExemplarData } from '../../data/explanation.js';
import type { Preview } from '../../data/quality.js';
import { type Html, html } from '../markup.js';

/** Only pictures that pare has made are data URLs of this form. */
const safeUrl = /^data:image\/png;base64,[A-Za-z0-9+/=]+$/;

/** A picture that stands by itself. */
export function previewPicture(preview: Preview, label: string): Html {
  if (preview.kind === 'image' && safeUrl.test(preview.url)) {
    const { url, width, height } = preview;
    return html`<img class="sample" src="${url}" width="${width}" height="${height}" alt="${label}">`;
  }
  if (preview.kind === 'wave')
    return html`<svg class="sample curve wave" role="img" aria-label="${label}" viewBox="0 0 100 40" preserveAspectRatio="none">${outline(preview)}</svg>`;
  if (preview.kind === 'curve') {
    const step = 100 / Math.max(1, preview.points.length - 1);
    const points = preview.points.map((y, i) => `${round(i * step)},${round(20 - 18 * y)}`);
    return html`<svg class="sample curve" role="img" aria-label="${label}" viewBox="0 0 100 40" preserveAspectRatio="none"><polyline points="${points.join(' ')}"></polyline></svg>`;
  }
  if (preview.kind === 'text') return html`<span class="sample words">${preview.text}</span>`;
  return html`<span class="sample none">no picture</span>`;
}

/** Pictures that a page shows many times, once: see `sharedPicture`. Shows nothing itself. */
export function sharedPictures(previews: readonly Preview[]): Html {
  return html`<svg class="shared" aria-hidden="true" width="0" height="0"><defs>${previews.map(
    (preview, at) => {
      if (preview.kind === 'image' && safeUrl.test(preview.url))
        return html`<image id="sample-${at}" href="${preview.url}" width="${preview.width}" height="${preview.height}"></image>`;
      return preview.kind === 'wave' && html`<g id="sample-${at}">${outline(preview)}</g>`;
    },
  )}</defs></svg>`;
}

/**
 * One of them, with a mark.
 * @param index of its place among the shared ones
 * @param at where the mark is, as shares: across and down of a picture, along a signal
 */
export function sharedPicture(
  preview: Preview,
  index: number,
  label: string,
  at: readonly number[] | null,
): Html {
  if (preview.kind === 'image' && safeUrl.test(preview.url)) {
    const { width, height } = preview;
    const side = Math.max(width, height);
    const ring =
      at?.length === 2 &&
      ['under', 'over'].map(
        (name) =>
          html`<circle class="ring ${name}" cx="${round(at[0]! * width)}" cy="${round(at[1]! * height)}" r="${round(0.13 * side)}"></circle>`,
      );
    return html`<svg class="sample" role="img" aria-label="${label}" viewBox="0 0 ${width} ${height}"><use href="#sample-${index}"></use>${ring}</svg>`;
  }
  if (preview.kind === 'wave')
    return html`<svg class="sample curve wave" role="img" aria-label="${label}" viewBox="0 0 100 40" preserveAspectRatio="none"><use href="#sample-${index}"></use>${
      at?.length === 1 && html`<path class="place" d="M${round(100 * at[0]!)} 0V40"></path>`
    }</svg>`;
  return previewPicture(preview, label);
}

/** From the highest to the lowest value of each stretch; silence is a line. */
function outline({ low, high }: Extract<Preview, { kind: 'wave' }>): Html {
  const step = 100 / Math.max(1, high.length - 1);
  const edge = (values: readonly number[], by: number) =>
    values.map((y, i) => `${round(i * step)},${round(20 - 18 * y + by)}`);
  const points = [...edge(high, -0.5), ...edge(low, 0.5).reverse()].join(' ');
  return html`<polygon points="${points}"></polygon>`;
}

/** A token with the text around it. */
export function inContext({ before, token, after }: NonNullable<ExemplarData['context']>): Html {
  return html`<span class="context">${before}<mark>${token}</mark>${after}</span>`;
}

const round = (value: number) => Math.round(value * 10) / 10;
