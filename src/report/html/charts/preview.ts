/** A sample as a small picture. */
import type { Preview } from '../../data/quality.js';
import { type Html, html } from '../markup.js';

/** Only pictures that pare has made are data URLs of this form. */
const safeUrl = /^data:image\/png;base64,[A-Za-z0-9+/=]+$/;

export function previewPicture(preview: Preview, label: string): Html {
  if (preview.kind === 'image' && safeUrl.test(preview.url)) {
    const { url, width, height } = preview;
    return html`<img class="sample" src="${url}" width="${width}" height="${height}" alt="${label}">`;
  }
  if (preview.kind === 'curve') {
    const step = 100 / Math.max(1, preview.points.length - 1);
    const points = preview.points.map((y, at) => `${round(at * step)},${round(20 - 18 * y)}`);
    return html`<svg class="sample curve" role="img" aria-label="${label}" viewBox="0 0 100 40" preserveAspectRatio="none"><polyline points="${points.join(' ')}"></polyline></svg>`;
  }
  if (preview.kind === 'text') return html`<span class="sample words">${preview.text}</span>`;
  return html`<span class="sample none">no picture</span>`;
}

const round = (value: number) => Math.round(value * 10) / 10;
