/** What was left alone and why; and all that is needed to make it again. */
import { type Content, html } from '../markup.js';
import { defineSection } from '../section.js';
import { show } from '../show.js';
import { table } from '../table.js';

export const skippedSection = defineSection({
  id: 'skipped',
  title: 'What was left alone, and why',
  part: (report) => {
    const { groups, notes } = report.value.skipped;
    return groups.length + notes.length > 0 ? report.get('skipped') : undefined;
  },
  render: (skipped) => {
    const { groups, notes } = skipped.value;
    return html`${
      groups.length > 0 &&
      table({
        caption: 'Nodes that stayed as they were',
        columns: [
          { header: 'operator' },
          { header: 'nodes', right: true },
          { header: 'by' },
          { header: 'why', prose: true },
          { header: 'which', name: true },
        ],
        rows: skipped
          .get('groups')
          .items()
          .map((group) => {
            const { op, pass, reason, nodes, count } = group.value;
            const rest = count > nodes.length ? ' ...' : '';
            const list: Content =
              nodes.length <= 3
                ? nodes.join(', ')
                : html`<details><summary>${nodes[0]} and others</summary>${nodes.join(', ')}${rest}</details>`;
            return [op, show(group.get('count'), 'integer'), pass, reason, list];
          }),
        visible: 20,
      })
    }${notes.length > 0 && html`<h3>Remarks</h3><ul class="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>`}`;
  },
});

export const provenanceSection = defineSection({
  id: 'provenance',
  title: 'To make it again',
  part: (report) => report.get('provenance'),
  render: (provenance, report) => {
    const { pare, created, call, engine, machine, data, seed } = provenance.value;
    const rows: (readonly [string, Content])[] = [
      ['made', `${created.slice(0, 16).replace('T', ' ')} UTC, by pare ${pare}, seed ${seed}`],
      ...(engine ? [['runtime', `${engine.name} ${engine.version}`] as const] : []),
    ];
    const at = provenance.maybe('machine');
    if (machine && at) {
      const { cpu, os, arch, node, vnni } = machine;
      const int8 = vnni === null ? '' : vnni ? ', with VNNI' : ', without VNNI';
      rows.push([
        'machine',
        html`${cpu}${int8}, ${show(at.get('cores'), 'integer')} cores, ${show(at.get('memoryBytes'), 'bytes')}, ${os} ${arch}, Node ${node}`,
      ]);
    }
    const samples = provenance.maybe('data');
    if (data && samples) {
      rows.push([
        'data',
        html`${data.path}, ${show(samples.get('size'), 'integer')} samples, ${data.preprocessing}<br><code class="hash">${data.fingerprint}</code>`,
      ]);
    }
    for (const model of report.get('models').items()) {
      const { name, file, sha256 } = model.value;
      rows.push([
        name,
        html`${file === name ? '' : `${file}, `}${show(model.get('bytes'), 'bytes')}, ${show(model.get('nodes'), 'integer')} nodes, ${show(model.get('parameters'), 'count')} parameters${model.value.macs !== null && html`, ${show(model.get('macs'), 'count')} MACs`}${
          model.value.gzipBytes !== null && html`; gzip ${show(model.get('gzipBytes'), 'bytes')}`
        }${model.value.brotliBytes !== null && html`, brotli ${show(model.get('brotliBytes'), 'bytes')}`}${sha256 !== null && html`<br><code class="hash">${sha256}</code>`}`,
      ]);
    }
    return html`<pre class="call" tabindex="0"><code>${call}</code></pre><dl class="facts">${rows.map(([name, text]) => html`<div><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>`;
  },
});
