/**
 * The look of a page, light, dark and on paper. Black on white and one blue; before is an outline
 * and after is filled, so that nothing needs its colour. No fonts, no pictures, no network.
 */
import { trusted } from './markup.js';

export const style = trusted(`
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --raised: #f5f4f0; --ink: #1b1b1a; --soft: #5d5b56; --rule: #dedbd3;
  --mark: #1d5a8c; --mark-soft: #c9d9e6; --before: #8f8b83; --good: #1f6b3a; --bad: #a32a20;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #151617; --raised: #1e2022; --ink: #e9e7e2; --soft: #a5a29b; --rule: #34363a;
    --mark: #7db4e0; --mark-soft: #2b4155; --before: #85827c; --good: #7cc495; --bad: #f0968c;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums lining-nums; overflow-wrap: break-word;
}
.page { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: 1rem; background: var(--paper); padding: .5rem 1rem; }
a { color: var(--mark); text-underline-offset: .2em; text-decoration-thickness: 1px; }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
h1 { font-size: clamp(1.5rem, 4.5vw, 2.25rem); line-height: 1.2; font-weight: 600; letter-spacing: -.015em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; line-height: 1.3; font-weight: 600; letter-spacing: -.01em; margin: 0 0 .5rem; }
h3 { font-size: 1rem; font-weight: 600; margin: 2rem 0 .5rem; }
p { margin: 0 0 1rem; }
.kicker { color: var(--soft); font-size: .875rem; margin-bottom: .5rem; }
.outcome { font-size: 1.0625rem; color: var(--soft); margin: .5rem 0 1.25rem; max-width: 46rem; }
.promise { border-left: 3px solid var(--before); padding: .1rem 0 .1rem .9rem; max-width: 46rem; }
.promise .verdict { font-weight: 600; margin-right: .35rem; }
.promise.kept { border-color: var(--good); } .promise.kept .verdict { color: var(--good); }
.promise.broken { border-color: var(--bad); } .promise.broken .verdict { color: var(--bad); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 2rem 2.5rem; margin-top: 2.25rem; padding-top: 1.75rem; border-top: 1px solid var(--rule); }
.figure h2 { font-size: .875rem; font-weight: 600; letter-spacing: 0; color: var(--soft); margin: 0; text-transform: capitalize; }
.figure .value { font-size: 2rem; line-height: 1.15; font-weight: 600; letter-spacing: -.02em; margin: .15rem 0 .1rem; }
.figure .change { margin: 0 0 .65rem; line-height: 1.35; }
.figure .pair { margin: 0 0 .6rem; }
.figure .pair .bar { height: .5rem; }
.figure dl { margin: 0; font-size: .875rem; }
.figure dl div { display: flex; gap: .75rem; }
.figure dt { color: var(--soft); flex: 0 0 3.25rem; } .figure dd { margin: 0; }
.figure dd .interval { display: block; }
.figure .how { color: var(--soft); font-size: .8125rem; line-height: 1.45; margin: .5rem 0 0; }
.interval { color: var(--soft); font-size: .875em; white-space: nowrap; }
.soft, .none { color: var(--soft); }
nav { margin-top: 2.5rem; padding: .9rem 0; border: solid var(--rule); border-width: 1px 0; font-size: .9375rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .35rem 1.4rem; margin: 0; padding: 0; }
nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }
main > section { padding-top: 3.25rem; }
.lead { color: var(--soft); max-width: 46rem; }
code, pre, td.name, th.name { font-family: var(--mono); font-size: .875em; }
code { overflow-wrap: anywhere; }
code.options { display: block; color: var(--soft); margin-top: .2rem; }
code.hash { font-size: .75rem; color: var(--soft); }
pre.call { background: var(--raised); padding: .9rem 1.1rem; border-radius: 4px; white-space: pre-wrap; overflow-wrap: anywhere; }
.steps { padding-left: 1.4rem; margin: 0; } .steps li { margin-bottom: .6rem; }
.notes { margin: .25rem 0 0; padding-left: 1.1rem; color: var(--soft); font-size: .9375rem; }
.facts { margin: 1.25rem 0 0; } .facts div { display: grid; grid-template-columns: 7rem 1fr; gap: 1rem; padding: .45rem 0; border-top: 1px solid var(--rule); }
.facts dt { color: var(--soft); overflow-wrap: anywhere; } .facts dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1.25rem 0 0; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; line-height: 1.4; }
caption { text-align: left; color: var(--soft); font-size: .8125rem; padding-bottom: .35rem; }
caption span { display: block; position: sticky; left: 0; width: fit-content; max-width: calc(100vw - 2.5rem); }
th, td { text-align: left; vertical-align: top; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--rule); font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
thead th, thead td { border-bottom: 1px solid var(--before); vertical-align: bottom; }
thead th { font-weight: 600; }
.right { text-align: right; white-space: nowrap; }
td.name, th.name { overflow-wrap: anywhere; min-width: 9rem; font-size: .8125rem; }
td.prose { min-width: min(18rem, 70vw); }
td.chart { min-width: 6rem; width: 22%; padding-top: .72rem; }
th button { all: unset; cursor: pointer; } th button::after { content: " \\2195"; color: var(--before); font-weight: 400; }
th[aria-sort=ascending] button::after { content: " \\2191"; color: inherit; } th[aria-sort=descending] button::after { content: " \\2193"; color: inherit; }
th button:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
tr.folded { display: none; }
button.more { font: inherit; font-size: .875rem; color: var(--mark); background: none; border: 0; padding: .6rem 0; cursor: pointer; text-decoration: underline; text-underline-offset: .2em; text-decoration-thickness: 1px; }
.bars { display: grid; gap: 2px; }
svg.bar { display: block; width: 100%; height: .55rem; overflow: visible; }
.bars svg.bar { height: .4rem; }
.figure .bars svg.bar { height: .5rem; }
svg.bar.after rect { fill: var(--mark); }
svg.bar.before rect { fill: none; stroke: var(--before); stroke-width: 1.25; }
.legend, .lines figcaption { display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; font-size: .875rem; color: var(--soft); margin: .5rem 0 0; }
.key { display: inline-flex; align-items: center; gap: .45rem; } .key svg { flex: none; }
.lines .key svg { width: 28px; height: 8px; }
figure { margin: 1.25rem 0 0; }
figure > figcaption { font-size: .875rem; margin-bottom: .4rem; }
.treemap { display: block; width: 100%; height: calc(21rem * var(--share)); min-height: 1.1rem; }
.map .treemap { width: 100%; }
.tile { stroke: var(--paper); stroke-width: 2; }
.tile-0 { fill: var(--mark-soft); } .tile-1 { fill: var(--mark); } .tile-2 { fill: var(--before); }
.tile-3 { fill: var(--soft); } .tile-4 { fill: var(--rule); } .tile-5 { fill: var(--raised); stroke: var(--before); stroke-width: 1; }
.treemap text { font: 12px var(--mono); fill: var(--ink); } .treemap text.soft { fill: var(--ink); font-size: 11px; opacity: .8; }
.treemap .tile-1 ~ text, .treemap .tile-3 ~ text { fill: var(--paper); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 0 2.5rem; }
.columns > * { min-width: 0; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1.5rem 1.75rem; margin-top: 1.25rem; }
.gallery figure { margin: 0; min-width: 0; }
.small figcaption { font: .75rem/1.4 var(--mono); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.histogram { display: block; width: 100%; height: 4.5rem; }
.histogram path { vector-effect: non-scaling-stroke; }
.histogram .after { fill: var(--mark-soft); stroke: var(--mark); stroke-width: 1; }
.histogram .before { fill: none; stroke: var(--ink); stroke-width: 1; }
.histogram .axis { stroke: var(--before); fill: none; } .histogram .ticks { stroke: var(--soft); stroke-width: 1; fill: none; } .histogram .grid { fill: var(--before); }
.ends { display: flex; justify-content: space-between; gap: .5rem; font-size: .75rem; color: var(--soft); margin: 0; line-height: 1.4; }
.lines { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .25rem .6rem; max-width: 46rem; }
.lines > svg { grid-column: 2; width: 100%; height: 13rem; overflow: visible; }
.lines .y { grid-column: 1; grid-row: 1; display: flex; flex-direction: column; justify-content: space-between; text-align: right; font-size: .8125rem; color: var(--soft); max-width: 6rem; }
.lines .x { grid-column: 2; display: flex; justify-content: space-between; font-size: .8125rem; color: var(--soft); }
.lines figcaption { grid-column: 2; }
.lines path { fill: none; vector-effect: non-scaling-stroke; } .frame { stroke: var(--before); stroke-width: 1; }
.line { stroke-width: 2; stroke: var(--mark); } .line-1 { stroke: var(--ink); stroke-dasharray: 6 4; } .line-2 { stroke: var(--before); stroke-dasharray: 2 3; } .line-3 { stroke: var(--soft); stroke-dasharray: 9 3 2 3; } .line-4 { stroke: var(--mark); stroke-dasharray: 1 4; } .line-5 { stroke: var(--ink); stroke-dasharray: 12 4; }
.lines .band { stroke: none; fill: var(--before); opacity: .25; }
.matrix th { font-weight: 400; white-space: nowrap; max-width: 9rem; overflow: hidden; text-overflow: ellipsis; } .matrix td { text-align: right; padding: .3rem .45rem; min-width: 2.4rem; border-bottom: 1px solid var(--paper); border-right: 1px solid var(--paper); }
.matrix thead th { vertical-align: bottom; padding: .3rem .1rem; text-align: center; } .matrix thead span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 8rem; overflow: hidden; text-overflow: ellipsis; }
.matrix td.level-0 { background: var(--raised); color: var(--soft); }
.matrix td.level-1 { background: color-mix(in srgb, var(--mark) 14%, var(--paper)); } .matrix td.level-2 { background: color-mix(in srgb, var(--mark) 28%, var(--paper)); }
.matrix td.level-3 { background: color-mix(in srgb, var(--mark) 72%, var(--ink)); color: var(--paper); } .matrix td.level-4 { background: var(--mark); color: var(--paper); }
.matrix td.right-answer { font-weight: 600; outline: 1px solid var(--before); outline-offset: -2px; }
.flips { list-style: none; margin: 1.25rem 0 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1.25rem 1.5rem; }
.flips li { display: grid; grid-template-columns: 4.5rem 1fr; gap: .8rem; font-size: .875rem; line-height: 1.4; }
.flips li span { display: block; } .flips li span span, .flips li data { display: inline; }
.flips .label { font-weight: 600; overflow-wrap: anywhere; }
.sample { display: block; width: 4.5rem; height: auto; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; background: var(--raised); font-size: .75rem; }
.sample.curve { aspect-ratio: auto; height: 3rem; padding: .2rem; } .wave { fill: var(--mark); } .wave .place { stroke: var(--ink); stroke-width: 2; vector-effect: non-scaling-stroke; }
svg.shared { position: absolute; } .ring { fill: none; vector-effect: non-scaling-stroke; } .ring.under { stroke: #000; stroke-width: 4; } .ring.over { stroke: #fff; stroke-width: 2; } image { image-rendering: pixelated; }
.strip.texts { flex-direction: column; align-items: flex-start; gap: .25rem; } .context { font: .75rem/1.45 var(--mono); white-space: pre-wrap; overflow-wrap: anywhere; } mark { background: var(--mark-soft); color: var(--ink); font-weight: 700; padding: 0 .1em; text-decoration: underline; }
code.weight { color: var(--soft); }
.curve polyline { fill: none; stroke: var(--mark); stroke-width: 1; vector-effect: non-scaling-stroke; }
.layer > summary { color: inherit; padding: .5rem 0; border-top: 1px solid var(--rule); } .layer { margin: 0; }
svg.units { display: block; width: 100%; height: 2.75rem; margin-top: .4rem; } .unit-bars { fill: var(--mark); } .units .axis { stroke: var(--before); fill: none; vector-effect: non-scaling-stroke; }
.units-list { list-style: none; margin: .75rem 0 1.5rem; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr)); gap: 1.25rem 2rem; font-size: .875rem; line-height: 1.45; }
.units-list p { margin: 0; } .strip { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem; margin-top: .5rem; } .strip > .soft { width: 2.75rem; } .strip .sample { width: 3.25rem; } .strip .wave { width: 6rem; }
.sample.words { width: 9rem; font: .6875rem/1.35 var(--mono); padding: .3rem; aspect-ratio: auto; overflow-wrap: anywhere; }
.flips li.two { grid-template-columns: 4.5rem 4.5rem 1fr; }
details { margin-top: 1rem; } summary { cursor: pointer; color: var(--mark); font-size: .9375rem; } td details { margin: 0; } td summary { font-size: inherit; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--rule); color: var(--soft); font-size: .875rem; }
@media (max-width: 34rem) {
  .page { padding: 1.5rem 1rem 3rem; }
  .figures { grid-template-columns: 1fr 1fr; gap: 1.75rem 1.25rem; } .figure .value { font-size: 1.5rem; } .figure .interval { white-space: normal; }
  .figure dl div { gap: .5rem; }
  .facts div { grid-template-columns: 1fr; gap: 0; } main > section { padding-top: 2.5rem; }
  .treemap text.roomy { display: none; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --raised: #f4f4f2; --ink: #000; --soft: #444; --rule: #ccc; --mark: #1d5a8c; --mark-soft: #c9d9e6; --before: #888; --good: #1f6b3a; --bad: #a32a20; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 10pt; } .page { max-width: none; padding: 0; } nav, .skip, button.more { display: none; }
  main > section { padding-top: 1.5rem; } figure, .figure, .flips li, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } .scroll { overflow: visible; } tr.folded { display: table-row; }
}
`);
