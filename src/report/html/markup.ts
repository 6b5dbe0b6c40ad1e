/**
 * Text to HTML, escaped in one place: a tagged template whose values are escaped unless they are
 * HTML already. Names come from model files that nobody vouches for. In a template, attributes
 * stand in double quotes, and no value goes into a script or style element.
 */
import { printable } from '../text.js';

/** Markup that was made by `html` and is safe to put into markup. */
export class Html {
  readonly #text: string;

  /** @internal Use `html`, or `trusted` for text of pare's own. */
  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** False, null and undefined are nothing; lists are joined. */
export type Content = Html | string | number | false | null | undefined | readonly Content[];

/** @example html`<b>${'<script>'}</b>`.toString() // '<b>&lt;script&gt;</b>' */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  let text = strings[0]!;
  for (const [at, value] of values.entries()) text += textOf(value) + strings[at + 1]!;
  return new Html(text);
}

/** Text that is markup already. Only for constants of this package. */
export function trusted(text: string): Html {
  return new Html(text);
}

function textOf(value: Content): string {
  if (value === false || value === null || value === undefined) return '';
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(textOf).join('');
  return escaped(String(value));
}

const entities: Readonly<Record<string, string>> = Object.freeze({
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
});

/** Also makes marks visible that would reorder the text around them. */
function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => entities[character]!);
}
