/** Names out of model files, as they read on a page. */
import { type Html, html } from './markup.js';

/**
 * Converters join the names of everything that they fused by semicolons, to hundreds of characters:
 * the first one says enough, and the whole is a touch away.
 */
export function shortName(name: string): Html {
  const [first, ...others] = name.split(';');
  return others.length === 0
    ? html`${name}`
    : html`<span title="${name}">${first} +${others.length}</span>`;
}
