/**
 * Tables of a page: a caption, headers that sort (see the page's script), and a region that
 * scrolls by itself where the page is narrow.
 */
import { type Content, type Html, html } from './markup.js';

export interface HtmlColumn {
  readonly header: string;
  /** Numbers go right. */
  readonly right?: boolean;
  /** A column of bars: no header to sort by. */
  readonly chart?: boolean;
  /** Names that may be long: monospaced, broken anywhere. */
  readonly name?: boolean;
  /** Sentences: wide enough that rows stay low on a phone. */
  readonly prose?: boolean;
}

export interface TableParts {
  /** What the table is, for screen readers and as its caption. */
  readonly caption: string;
  readonly columns: readonly HtmlColumn[];
  readonly rows: readonly (readonly Content[])[];
  /** Rows beyond it fold away; all are in the page. Default 12. */
  readonly visible?: number | undefined;
}

export function table({ caption, columns, rows, visible = 12 }: TableParts): Html {
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table data-visible="${visible}"><caption><span>${caption}</span></caption><thead><tr>${columns.map(
    (column) =>
      column.chart
        ? html`<td class="chart"></td>`
        : html`<th scope="col" class="${column.right ? 'right' : ''}">${column.header}</th>`,
  )}</tr></thead><tbody>${rows.map(
    (row) =>
      html`<tr>${row.map((cell, at) =>
        at === 0
          ? html`<th scope="row" class="${columns[at]!.name ? 'name' : ''}">${cell}</th>`
          : html`<td class="${kindOf(columns[at]!)}">${cell}</td>`,
      )}</tr>`,
  )}</tbody></table></div>`;
}

function kindOf({ right, chart, name, prose }: HtmlColumn): string {
  return right ? 'right' : chart ? 'chart' : name ? 'name' : prose ? 'prose' : '';
}
