/** The first screen: what went in, what came out, four numbers, and the promise. */
import type { Report } from '../../data/report.js';
import type { Figure, Unit } from '../../data/summary.js';
import { barPair } from '../charts/bar.js';
import type { Located } from '../located.js';
import { type Html, html } from '../markup.js';
import { type Format, missing, show, showInterval } from '../show.js';

/** How values of a unit read. */
const formatOf: Readonly<Record<Unit, Format>> = {
  bytes: 'bytes',
  ms: 'ms',
  share: 'shareFine',
  perplexity: 'perplexity',
  dB: 'dB',
};

const changeFormat = { times: 'times', points: 'points', percent: 'percent' } as const;

export function renderSummary(report: Located<Report>): Html {
  const { title, provenance } = report.value;
  const summary = report.get('summary');
  const { outcome, promise } = summary.value;
  return html`<header><p class="kicker">pare ${provenance.command}</p><h1>${title}</h1><p class="outcome">${outcome}</p>${
    promise &&
    html`<p class="promise ${promise.kept ? 'kept' : 'broken'}"><span class="verdict">${promise.kept ? '✓ Promise kept' : '✗ Promise broken'}</span> <span>${promise.text}${promise.broken.length > 0 && `: ${promise.broken.join('; ')}`}</span></p>`
  }<div class="figures">${summary.get('figures').items().map(renderFigure)}</div></header>`;
}

function renderFigure(figure: Located<Figure>): Html {
  const { name, measure, unit, before, after, change, note, spread } = figure.value;
  const format = formatOf[unit];
  const [first, last] = [figure.maybe('before'), figure.maybe('after')];
  const main = last ?? first;
  // Shares have a whole of their own.
  const most = unit === 'share' ? 1 : Math.max(before?.value ?? 0, after?.value ?? 0);
  const rows = [
    { label: 'before', at: first },
    { label: 'after', at: last },
  ];
  const hasSpread = [before, after].some((each) => each?.interval);
  return html`<section class="figure" aria-label="${name} at a glance"><h2>${name}</h2><p class="value">${main ? show(main.get('value'), format) : missing}</p>${
    change &&
    html`<p class="change">${show(figure.maybe('change')!.get('value'), changeFormat[change.kind])} ${change.word}${
      change.interval &&
      html` <span class="interval">(${showInterval(figure.maybe('change')!.get('interval'), changeFormat[change.kind])})</span>`
    }</p>`
  }${before && after && html`<div class="pair">${barPair(before.value, after.value, most)}</div>`}<dl>${rows.map(
    ({ label, at }) =>
      at &&
      html`<div><dt>${label}</dt><dd>${show(at.get('value'), format)}${
        at.value.interval &&
        html` <span class="interval">${showInterval(at.get('interval'), format)}</span>`
      }</dd></div>`,
  )}</dl><p class="how">${measure}${hasSpread && spread && `; ${spread}`}${note && `; ${note}`}</p></section>`;
}
