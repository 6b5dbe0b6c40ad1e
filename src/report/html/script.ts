/**
 * The script of a page: headers that sort, and long tables that fold. The page is complete without
 * it. No value of a report goes in here.
 */
import { trusted } from './markup.js';

export const script = trusted(`
for (const table of document.querySelectorAll('table[data-visible]')) {
  const body = table.tBodies[0];
  const fold = () => {
    const open = table.dataset.open === 'yes';
    [...body.rows].forEach((row, at) => row.classList.toggle('folded', !open && at >= visible));
  };
  const visible = Number(table.dataset.visible);
  const count = body.rows.length;
  if (count > visible + 2) {
    const more = document.createElement('button');
    more.type = 'button';
    more.className = 'more';
    const label = () => { more.textContent = table.dataset.open === 'yes' ? 'show fewer' : 'show all ' + count; };
    more.setAttribute('aria-expanded', 'false');
    more.addEventListener('click', () => {
      table.dataset.open = table.dataset.open === 'yes' ? 'no' : 'yes';
      more.setAttribute('aria-expanded', String(table.dataset.open === 'yes'));
      label();
      fold();
    });
    label();
    table.parentElement.after(more);
    fold();
  }
  const keyOf = (row, at) => {
    const cell = row.cells[at];
    const number = cell.querySelector('data');
    return number ? Number(number.value) : cell.textContent.trim();
  };
  if (count < 3) continue;
  for (const header of table.tHead.querySelectorAll('th')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener('click', () => {
      const at = header.cellIndex;
      const now = header.getAttribute('aria-sort');
      const first = typeof keyOf(body.rows[0], at) === 'number' ? 'descending' : 'ascending';
      const order = now === null ? first : now === 'ascending' ? 'descending' : 'ascending';
      for (const other of table.tHead.querySelectorAll('th')) other.removeAttribute('aria-sort');
      header.setAttribute('aria-sort', order);
      const sign = order === 'ascending' ? 1 : -1;
      const rows = [...body.rows].map((row) => [keyOf(row, at), row]);
      rows.sort(([a], [b]) => {
        if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
        return sign * (typeof a === 'number' ? a - b : a.localeCompare(b, 'en', { numeric: true }));
      });
      body.append(...rows.map(([, row]) => row));
      fold();
    });
  }
}
addEventListener('beforeprint', () => {
  for (const each of document.querySelectorAll('details')) each.open = true;
});
`);
