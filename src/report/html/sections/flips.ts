/** The samples whose prediction changed, as pictures. */
import { previewPicture } from '../charts/preview.js';
import { html } from '../markup.js';
import { defineSection } from '../section.js';
import { show } from '../show.js';

export const flipsSection = defineSection({
  id: 'flips',
  title: 'Predictions that changed',
  part: (report) => report.maybe('flips'),
  render: (flips) => {
    // Without a name a class is its number.
    const classes = flips.value.classes.map((name) =>
      /^\d+$/.test(name) ? `class ${name}` : name,
    );
    const shown = flips.get('shown').items();
    const mark = (predicted: number, label: number | null) =>
      label === null ? '' : predicted === label ? ' ✓' : ' ✗';
    return html`<p class="lead">${show(flips.get('count'), 'integer')} of ${show(flips.get('samples'), 'integer')} predictions are not those of the original.${
      shown.length > 0 &&
      ' Those of which the new model is surest come first; ✓ is right, ✗ is wrong.'
    }</p>${
      shown.length > 0 &&
      html`<ul class="flips">${shown.map((flip) => {
        const { id, label, before, after, preview } = flip.value;
        const name = label === null ? id : `${id}, labelled ${classes[label]}`;
        return html`<li>${previewPicture(preview, name)}<div><span class="label">${label === null ? id : classes[label]}</span><span>${classes[before]}${mark(before, label)} <span class="soft">${show(flip.get('confidenceBefore'), 'share')}</span></span><span>→ <b>${classes[after]}</b>${mark(after, label)} <span class="soft">${show(flip.get('confidenceAfter'), 'share')}</span></span></div></li>`;
      })}</ul>`
    }`;
  },
});
