/**
 * A report as one HTML file: complete in itself, without network, readable without script. The
 * data are in it as JSON, as they were given; what is shown comes from them alone.
 */
import { printReport, type Report } from '../data/report.js';
import { Located } from './located.js';
import { html, trusted } from './markup.js';
import { script } from './script.js';
import { renderSummary } from './sections/summary.js';
import { sections } from './sections.js';
import { style } from './style.js';

/**
 * Pure. Throws for a report with numbers that JSON does not have.
 * @example await writeFile('report.html', renderReport(report));
 */
export function renderReport(report: Report): string {
  const located = new Located(report);
  const shown = sections.flatMap((section) => {
    const body = section.render(located);
    return body ? [{ ...section, body }] : [];
  });
  const { title, provenance } = report;
  return html`${trusted('<!doctype html>')}
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="pare ${provenance.pare}">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<a class="skip" href="#content">to the content</a>
<div class="page">
${renderSummary(located)}
<nav aria-label="Sections"><ul>${shown.map(({ id, title: name }) => html`<li><a href="#${id}">${name}</a></li>`)}</ul></nav>
<main id="content">
${shown.map(({ id, title: name, body }) => html`<section aria-labelledby="${id}"><h2 id="${id}">${name}</h2>${body}</section>\n`)}
</main>
<footer>Made by pare ${provenance.pare}. This page is complete in itself; its data are inside, as JSON.</footer>
</div>
<script type="application/json" id="report">${embedded(report)}</script>
<script>${script}</script>
</body>
</html>
`.toString();
}

/** JSON that no parser of HTML takes for markup. */
function embedded(report: Report) {
  return trusted(printReport(report).replace(/</g, '\\u003c'));
}
