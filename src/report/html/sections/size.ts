/** Where the bytes go: a map of layers and roles, on one scale before and after. */

import type { ModelSize } from '../../data/cost.js';
import { formatBytes } from '../../format.js';
import { bar } from '../charts/bar.js';
import { type Tile, treemap } from '../charts/treemap.js';
import type { Located } from '../located.js';
import { type Html, html } from '../markup.js';
import { defineSection } from '../section.js';
import { show } from '../show.js';
import { table } from '../table.js';

/** In this order roles get their pattern. */
const roles = ['weight', 'embedding', 'bias', 'normalization', 'quantization', 'constant'];

export const sizeSection = defineSection({
  id: 'size',
  title: 'Where the bytes are',
  part: (report) => report.maybe('size'),
  render: (size) => {
    const most = Math.max(...size.value.map(({ tensorBytes }) => tensorBytes));
    const used = roles.filter((role) =>
      size.value.some(({ byRole }) => byRole.some(({ name }) => name === role)),
    );
    return html`<p class="lead">Each rectangle is a layer, its area the bytes of its constants; all maps have the same scale.</p><p class="legend">${used.map(
      (role) =>
        html`<span class="key"><svg aria-hidden="true" width="14" height="14"><rect class="tile tile-${roles.indexOf(role)}" width="14" height="14"></rect></svg>${role}</span>`,
    )}</p>${size.items().map((model) => renderMap(model, most))}${rolesTable(size)}`;
  },
});

function renderMap(size: Located<ModelSize>, most: number): Html {
  const { model, tensorBytes, items } = size.value;
  const tiles = items.map(
    ({ layer, op, role, bytes }): Tile => ({
      label: layer === '' ? `other ${role}` : layer,
      detail: `${formatBytes(bytes)}${op === '' ? '' : ` ${op}`} ${role}`,
      value: bytes,
      group: Math.max(0, roles.indexOf(role)),
    }),
  );
  const largest = items[0];
  const summary = largest
    ? `${model}: ${formatBytes(tensorBytes)}, the largest part is ${largest.layer || largest.role} with ${formatBytes(largest.bytes)}`
    : `${model}: no constants`;
  const share = most > 0 ? tensorBytes / most : 0;
  return html`<figure class="map"><figcaption><b>${model}</b> ${show(size.get('tensorBytes'), 'bytes')}</figcaption>${treemap(tiles, share, summary)}<details><summary>the layers of ${model} as a table</summary>${table(
    {
      caption: `Layers of ${model} by bytes`,
      columns: [
        { header: 'layer', name: true },
        { header: 'operator' },
        { header: 'role' },
        { header: 'bytes', right: true },
        { header: '', chart: true },
      ],
      rows: size
        .get('items')
        .items()
        .map((item) => {
          const { layer, op, role, bytes } = item.value;
          return [
            layer || 'all others',
            op,
            role,
            show(item.get('bytes'), 'bytes'),
            bar(bytes / items[0]!.bytes),
          ];
        }),
    },
  )}</details></figure>`;
}

function rolesTable(size: Located<ModelSize[]>): Html {
  const names = [...new Set(size.value.flatMap(({ byRole }) => byRole.map(({ name }) => name)))];
  const types = [...new Set(size.value.flatMap(({ byType }) => byType.map(({ name }) => name)))];
  const rows = (list: readonly string[], key: 'byRole' | 'byType') =>
    list.map((name) => [
      name,
      ...size.items().map((model) => {
        const found = model
          .get(key)
          .items()
          .find((row) => row.value.name === name);
        return found ? show(found.get('bytes'), 'bytes') : '';
      }),
    ]);
  const columns = (header: string) => [
    { header },
    ...size.value.map(({ model }) => ({ header: model, right: true })),
  ];
  return html`<div class="columns">${table({ caption: 'Bytes by role', columns: columns('role'), rows: rows(names, 'byRole') })}${table({ caption: 'Bytes by type', columns: columns('type'), rows: rows(types, 'byType') })}</div>`;
}
