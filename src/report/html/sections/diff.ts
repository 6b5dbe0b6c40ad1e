/** What changed in the graph: interface, file, nodes, operators. */
import type { DiffData } from '../../data/diff.js';
import { barPair } from '../charts/bar.js';
import type { Located } from '../located.js';
import { type Html, html } from '../markup.js';
import { defineSection } from '../section.js';
import { show } from '../show.js';
import { table } from '../table.js';

export const diffSection = defineSection({
  id: 'diff',
  title: 'What changed in the graph',
  part: (report) => report.maybe('diff'),
  render: (diff) => {
    const { equal, nodes } = diff.value;
    if (equal)
      return html`<p class="lead">The models are equal, to the last bit of their weights.</p>`;
    const at = diff.get('nodes');
    return html`<p class="lead">Nodes: ${show(at.get('unchanged'), 'integer')} unchanged, ${show(at.get('changedCount'), 'integer')} changed, ${show(at.get('removedCount'), 'integer')} removed, ${show(at.get('addedCount'), 'integer')} added.</p>${ports(diff.value)}${heads(diff.value)}${operators(diff)}${
      nodes.changed.length > 0 &&
      table({
        caption: 'Changed nodes',
        columns: [{ header: 'node', name: true }, { header: 'operator' }, { header: 'what' }],
        rows: nodes.changed.map(({ node, op, now, changes }) => [
          node,
          op,
          [...(now === node ? [] : [`now ${now}`]), ...changes].join('; '),
        ]),
      })
    }${
      nodes.removed.length + nodes.added.length > 0 &&
      table({
        caption: 'Nodes that one model has alone',
        columns: [{ header: 'node', name: true }, { header: 'operator' }, { header: 'change' }],
        rows: [
          ...nodes.removed.map(({ node, op }) => [node, op, '− removed']),
          ...nodes.added.map(({ node, op }) => [node, op, '+ added']),
        ],
      })
    }`;
  },
});

function ports({ interface: changes }: DiffData): Html | undefined {
  if (changes.length === 0) return undefined;
  return table({
    caption: 'Interface',
    columns: ['name', 'port', 'change', 'before', 'after', 'for callers'].map((header) => ({
      header,
    })),
    rows: changes.map(({ port, name, change, a, b, breaking }) => [
      name,
      port,
      change,
      a ?? '',
      b ?? '',
      breaking ? '✗ breaks' : 'compatible',
    ]),
  });
}

function heads({ head }: DiffData): Html | undefined {
  if (head.length === 0) return undefined;
  const short = (text: string | null) =>
    text && text.length > 160 ? `${text.slice(0, 157)}...` : (text ?? '');
  return table({
    caption: 'The file',
    columns: [
      { header: 'what' },
      { header: 'before', name: true },
      { header: 'after', name: true },
    ],
    rows: head.map(({ what, a, b }) => [what, short(a), short(b)]),
  });
}

function operators(diff: Located<DiffData>): Html {
  const rows = diff
    .get('operators')
    .items()
    .filter(({ value }) => value.nodesA !== value.nodesB || value.bytesA !== value.bytesB);
  const most = Math.max(...rows.flatMap(({ value }) => [value.bytesA, value.bytesB]), 1);
  return rows.length === 0
    ? html``
    : table({
        caption: 'Operators whose nodes or bytes changed',
        columns: [
          { header: 'operator' },
          { header: 'nodes', right: true },
          { header: 'after', right: true },
          { header: 'constants', right: true },
          { header: 'after', right: true },
          { header: '', chart: true },
        ],
        rows: rows.map((row) => [
          row.value.op,
          show(row.get('nodesA'), 'integer'),
          show(row.get('nodesB'), 'integer'),
          show(row.get('bytesA'), 'bytes'),
          show(row.get('bytesB'), 'bytes'),
          barPair(row.value.bytesA, row.value.bytesB, most),
        ]),
      });
}
